import { z } from 'zod'
import { EVENT_TYPES, SEVERITIES } from '../domain/events.ts'
import { WEIGHT_FORMATS } from '../domain/weight-file.ts'
import {
  type ListenAddress,
  dayWindow,
  duration,
  endpoint,
  hostName,
  isLoopback,
  line,
  listenAddress,
  ownerName,
  rate,
  repoRef,
  serviceName,
  size,
  token,
} from './config-fields.ts'
import { mailAddress, notifyTarget } from './notify-target.ts'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const MAX_WATCHES = 5000
const MAX_PATTERNS = 500

const patterns = z.array(line(1024)).max(MAX_PATTERNS, { error: `At most ${MAX_PATTERNS} patterns` })
const filter = { error: 'An empty list would keep nothing; leave the key out to keep everything' }

const keepSchema = z.strictObject({
  files: z
    .enum(['all', 'metadata'])
    .prefault('all')
    .describe('all: everything the filters below let through. metadata: only cards, configs, licences and tokenizers.'),
  formats: z
    .array(z.enum(WEIGHT_FORMATS))
    .min(1, filter)
    .optional()
    .describe('Keep only weights of these formats. A shard set is always kept whole. Left out: every format.'),
  quants: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, { error: 'Expected a quantisation such as Q4_K_M' }))
    .min(1, filter)
    .max(200, { error: 'At most 200 quantisations' })
    .optional()
    .describe('For GGUF: keep only these quantisations, spelled as in the file names (Q4_K_M, UD-Q4_K_XL).'),
  include: patterns
    .min(1, filter)
    .prefault(['*'])
    .describe('Keep only paths that match one of these globs (* is any text, also "/"; ? is one character).'),
  exclude: patterns.prefault([]).describe('Never keep paths that match one of these globs.'),
  max_repo: size
    .optional()
    .describe('Of a repository larger than this (after the filters) only the small files are kept.'),
})

const WATCH_TARGETS = ['org', 'user', 'repo'] as const

/** One entry of the watch list. */
export const watchSchema = z
  .strictObject({
    org: ownerName.optional().describe('An organisation: all its repositories, also those to come.'),
    user: ownerName.optional().describe('A user: all their repositories, also those to come.'),
    repo: repoRef.optional().describe('One repository: owner/name, or datasets/owner/name.'),
    every: duration('1s', '7d').prefault('10m').describe('How often to ask the Hub for news: 1s to 7d.'),
    silent_after: duration('1d', '3650d')
      .optional()
      .describe(
        'With org or user: no new or updated repository for so long is told as org-silent. Left out: 60d. A pause far longer than any of the year before is told earlier.',
      ),
    match: line(256)
      .optional()
      .describe('With org or user: only repositories whose name (without the owner) matches this glob.'),
    keep: keepSchema
      .prefault({})
      .describe('What to keep of each repository. Small files (cards, configs, licences) are always kept.'),
  })
  .refine((entry) => WATCH_TARGETS.filter((key) => entry[key] !== undefined).length === 1, {
    error: 'Exactly one of org, user and repo must stand here',
    when: ({ value }) => isGroup(value),
  })
  .refine((entry) => entry.silent_after === undefined || entry.repo === undefined, {
    error: 'silent_after needs org or user: one repository has no pace',
    path: ['silent_after'],
    when: ({ value }) => isGroup(value),
  })
  .refine((entry) => entry.match === undefined || entry.repo === undefined, {
    error: 'match needs org or user: a repo is one repository already',
    path: ['match'],
    when: ({ value }) => isGroup(value),
  })
  .meta({ oneOf: WATCH_TARGETS.map((key) => ({ required: [key] })) })

const hubSchema = z.strictObject({
  endpoint: endpoint
    .prefault('https://huggingface.co')
    .describe('Where the Hub is. The variable HF_ENDPOINT wins over this.'),
  token: token
    .optional()
    .describe('Access token for gated and private repositories and higher rate limits. HF_TOKEN wins over this.'),
  webhook_secret: token
    .optional()
    .describe(
      'Secret of a webhook of the Hub that posts to /webhooks/huggingface on the dashboard port. Left out: none.',
    ),
  confirm_loss: z
    .strictObject({
      misses: z.int().min(1).max(1000).prefault(3).describe('A loss is raised only after so many polls without it.'),
      over: duration('0s', '30d').prefault('30m').describe('And only after so long. 0s: by count alone.'),
    })
    .prefault({})
    .describe('When a missing repository counts as lost. Hubs have hiccups; archives must not panic.'),
})

const budgetSchema = z.strictObject({
  total: size.prefault('500GB').describe('The archive never grows past this.'),
  reserve: size.prefault('20GB').describe('Free space always left on the disk.'),
  rate: rate.optional().describe('Cap on downloads, all connections together. Left out: none.'),
  window: dayWindow
    .optional()
    .describe('Local time in which large files are fetched; outside it only listings and small files move.'),
})

const downloadSchema = z.strictObject({
  sequential: z
    .boolean()
    .prefault(false)
    .describe('For hard disks: one connection a file, and one write after another in the order of the file.'),
})

const licenseSchema = z.strictObject({
  allow: z
    .array(line(128).transform((key) => key.toLowerCase()))
    .max(500, { error: 'At most 500 licences' })
    .prefault(['apache-2.0', 'mit'])
    .describe('Licences as the Hub spells them. A watched repository that becomes anything else is critical news.'),
})

const scrubSchema = z.strictObject({
  every: duration('1s', '3650d').prefault('30d').describe('Every archived byte is read and checked again within this.'),
  rate: rate.prefault('100MB/s').describe('Cap on the reading.'),
})

const serveSchema = z
  .strictObject({
    dashboard: listenAddress.prefault('127.0.0.1:8420').describe('Address of the dashboard; off for none.'),
    mirror: listenAddress.prefault('127.0.0.1:8421').describe('Address of the Hub-compatible mirror; off for none.'),
    token: token.optional().describe('Required as soon as an address is not loopback.'),
    hosts: z
      .array(serviceName)
      .max(50, { error: 'At most 50 names' })
      .prefault([])
      .describe(
        'Other names under which dashboard and mirror are asked: vault.lan, or https://vault.example behind a proxy.',
      ),
    pull_through: z
      .boolean()
      .prefault(false)
      .describe('Fetch and archive a file of a watched repository when the mirror is asked for it and lacks it.'),
  })
  .superRefine((serve, ctx) => {
    for (const key of ['dashboard', 'mirror'] as const) {
      const address = serve[key]
      if (address === 'off' || isLoopback(address) || (serve.token ?? '') !== '') continue
      const message = 'An address that is not loopback needs serve.token; without one use 127.0.0.1'
      ctx.addIssue({ code: 'custom', path: [key], message })
    }
    if (sameAddress(serve.dashboard, serve.mirror)) {
      const message = 'Must not be the address of the dashboard: archived content is never served from its origin'
      ctx.addIssue({ code: 'custom', path: ['mirror'], message })
    }
  })

const notifySchema = z.strictObject({
  to: notifyTarget.describe('https: (a webhook), ntfy:, slack:, discord: or mailto:.'),
  min: z.enum(SEVERITIES).prefault('warning').describe('The least severity that is sent.'),
  types: z
    .array(z.enum(EVENT_TYPES))
    .min(1, filter)
    .optional()
    .describe('Only events of these types. Left out: every type.'),
  repos: patterns
    .min(1, filter)
    .optional()
    .describe('Only repositories that match one of these globs (Qwen/*, datasets/Qwen/*). Left out: every event.'),
  name: line(60).optional().describe('How the channel is called in tables and messages. Left out: its kind and host.'),
  digest: z
    .union([z.literal('off'), duration('1m', '30d')], { error: 'Expected a duration such as 1d, or off' })
    .prefault('1d')
    .describe('Events of severity info are summed up this often; off sends them as they come.'),
  secret: token.optional().describe('Of a webhook: the key of its signature (HMAC-SHA256). Of ntfy: the access token.'),
  allow_private: z
    .boolean()
    .prefault(false)
    .describe('Whether the channel may be at a private address: in this network, or on this machine.'),
})

const smtpSchema = z
  .strictObject({
    host: hostName.optional().describe('The mail server that takes our e-mails. Needed for mailto: channels.'),
    port: z.int().min(1).max(65_535).prefault(587).describe('Port of the mail server.'),
    security: z
      .enum(['starttls', 'tls', 'none'])
      .prefault('starttls')
      .describe(
        'starttls: encryption is demanded after connecting. tls: from the first byte (port 465). none: clear text.',
      ),
    user: line(320).optional().describe('User name, where the server asks for one.'),
    password: line(1024).optional().describe('Password of the user.'),
    from: mailAddress.optional().describe('The sender of our e-mails. Needed for mailto: channels.'),
  })
  .superRefine((smtp, ctx) => {
    if ((smtp.user === undefined) !== (smtp.password === undefined)) {
      ctx.addIssue({ code: 'custom', path: ['user'], message: 'user and password belong together' })
    }
    if (smtp.password === undefined || smtp.security !== 'none' || isLoopback({ host: smtp.host ?? '', port: 0 }))
      return
    const message = 'A password is never sent in clear text; use starttls or tls'
    ctx.addIssue({ code: 'custom', path: ['security'], message })
  })

const logSchema = z.strictObject({
  level: z.enum(LOG_LEVELS).prefault('info').describe('The least level that is logged.'),
})

const viewSchema = z
  .strictObject({
    path: line(4096).describe("A folder of its own, on the archive's disk; relative to this file's folder."),
    repos: z.array(line(200)).max(1000).prefault(['*']).describe('Globs on owner/name: which repositories are in it.'),
    as: z.literal('hf-cache').prefault('hf-cache').describe('A Hugging Face cache: name it in HF_HUB_CACHE.'),
  })
  .describe('A folder that shows the newest sealed commit of each repository, as read-only hard links.')

/** Said of keys that are read and checked, so that a file written now stays valid. */
const NOT_YET = 'Not in this release: has no effect yet.'

/** The YAML file: input is what may stand there, output what it means, with every default filled in. */
export const configSchema = z
  .strictObject({
    archive: line(4096)
      .prefault('./archive')
      .describe("Folder of the archive; relative to this file's folder. WEIGHTVAULT_ARCHIVE wins over this."),
    hub: hubSchema.prefault({}).describe('The Hub that is watched.'),
    budget: budgetSchema.prefault({}).describe('Limits on disk and bandwidth.'),
    download: downloadSchema.prefault({}).describe('How large files are fetched and written.'),
    watch: z
      .array(watchSchema)
      .max(MAX_WATCHES, { error: `At most ${MAX_WATCHES} entries` })
      .prefault([{ org: 'Qwen' }])
      .describe('Who and what is watched.'),
    license: licenseSchema.prefault({}).describe('Which licences are fine.'),
    scrub: scrubSchema.prefault({}).describe(`${NOT_YET} Regular check of the archived bytes.`),
    serve: serveSchema.prefault({}).describe('Dashboard and mirror: where they listen.'),
    views: z
      .array(viewSchema)
      .max(50, { error: 'At most 50 views' })
      .prefault([])
      .describe('Folders that are kept up to date with what is sealed.'),
    notify: z
      .array(notifySchema)
      .max(50, { error: 'At most 50 channels' })
      .prefault([])
      .superRefine(sayRepeatedChannels)
      .describe('Who is told about events. Entries with the same address are one channel with several rules.'),
    smtp: smtpSchema.prefault({}).describe('The mail server for mailto: channels.'),
    log: logSchema.prefault({}).describe('What the log tells.'),
  })
  .superRefine((values, ctx) => {
    const index = values.notify.findIndex(({ to }) => to.channel === 'mailto')
    if (index < 0 || (values.smtp.host !== undefined && values.smtp.from !== undefined)) return
    const message = 'E-mail needs smtp.host and smtp.from'
    ctx.addIssue({ code: 'custom', path: ['notify', index, 'to'], message })
  })
  .describe('Configuration of weightvault. Every key is optional.')

/** What the file means, before environment and flags. */
export type ConfigFileValues = z.output<typeof configSchema>
/** What may stand in one entry of the watch list. */
export type WatchInput = z.input<typeof watchSchema>

/** What an entry says beside its rule must not contradict an earlier entry with the same address. */
function sayRepeatedChannels(entries: readonly z.output<typeof notifySchema>[], ctx: z.RefinementCtx): void {
  for (const [index, entry] of entries.entries()) {
    const first = entries.findIndex(({ to }) => to.channel === entry.to.channel && to.url === entry.to.url)
    const before = entries[first]
    if (before === undefined || first === index) continue
    const keys = (['name', 'digest', 'secret', 'allow_private'] as const).filter((key) => before[key] !== entry[key])
    if (keys.length === 0) continue
    const message = `Has the address of notify[${first}], but another ${keys.join(', ')}`
    ctx.addIssue({ code: 'custom', path: [index, 'to'], message })
  }
}

function sameAddress(a: ListenAddress | 'off', b: ListenAddress | 'off'): boolean {
  return a !== 'off' && b !== 'off' && a.port !== 0 && a.port === b.port && a.host === b.host
}

function isGroup(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
