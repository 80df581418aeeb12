/**
 * The bytes of one simulated file, readable at any offset without holding the whole file, so that a file can be
 * larger than memory and disk.
 */
export interface Content {
  /** Exact number of bytes; 0 is a size. */
  readonly size: number
  /**
   * The bytes `[offset, offset + length)`; both lie inside the file. The result may be a view of a reused buffer:
   * it is valid until the next call.
   */
  read(offset: number, length: number): Uint8Array
}
