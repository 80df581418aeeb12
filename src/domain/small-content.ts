/**
 * Contents up to this size take the way of small files: one request for the whole, memory until they are on the disk,
 * many made durable together. Larger ones are downloaded in pieces that a restart can resume.
 */
export const SMALL_CONTENT_BYTES = 256 * 1024
