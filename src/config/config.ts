import type { AlertRule } from '../domain/alert-rules.ts'
import type { DailyWindow, Settings } from '../domain/settings.ts'
import { type WatchEntry, type WatchTarget, watchKey } from '../domain/watch.ts'
import type { ListenAddress } from './config-fields.ts'
import type { ConfigFileValues, LogLevel } from './config-schema.ts'
import type { NotifyChannel } from './notify-target.ts'
import { Secret } from './secret.ts'

/** A channel that alerts are sent to. */
export interface NotifyConfig {
  readonly channel: NotifyChannel
  /** URL of http(s), or for `mailto` addresses joined by ",". */
  readonly url: Secret
  readonly name: string | undefined
  /** An event is sent when any of them asks for it. */
  readonly rules: readonly AlertRule[]
  /** Undefined = events of severity info are sent like others. */
  readonly digestMs: number | undefined
  /** Key of the signature of a webhook, or access token. */
  readonly secret: Secret | undefined
  readonly allowPrivate: boolean
}

/** The mail server for `mailto`. */
export interface SmtpConfig {
  readonly host: string
  readonly port: number
  readonly security: 'starttls' | 'tls' | 'none'
  readonly user: string | undefined
  readonly password: Secret | undefined
  readonly from: string
}

/** Proxies for outgoing connections, from the environment. */
export interface ProxyConfig {
  /** URL for http: addresses; may hold credentials. */
  readonly http: Secret | undefined
  /** URL for https: addresses; may hold credentials. */
  readonly https: Secret | undefined
  /** Hosts that are reached directly, as the variable has them (comma-separated). */
  readonly noProxy: string | undefined
}

/** Everything that can be set, resolved: sizes in bytes, durations in milliseconds, defaults filled in. */
export interface Config {
  /** Absolute path. */
  readonly archive: string
  readonly hub: {
    /** Origin and path, without a trailing slash. */
    readonly endpoint: string
    readonly token: Secret | undefined
    /** What the Hub's webhooks prove themselves with; undefined = they are not listened to. */
    readonly webhookSecret: Secret | undefined
    readonly confirmLoss: { readonly misses: number; readonly overMs: number }
  }
  readonly budget: {
    readonly totalBytes: number
    readonly reserveBytes: number
    /** Undefined = no cap. */
    readonly bytesPerSecond: number | undefined
    /** Undefined = at any time. Local time. */
    readonly window: DailyWindow | undefined
  }
  /** `sequential`: for disks with a moving head. */
  readonly download: { readonly sequential: boolean }
  readonly watch: readonly WatchEntry[]
  /** Licence keys in lower case. */
  readonly license: { readonly allow: readonly string[] }
  readonly scrub: { readonly everyMs: number; readonly bytesPerSecond: number }
  readonly serve: {
    /** Undefined = not served. */
    readonly dashboard: ListenAddress | undefined
    readonly mirror: ListenAddress | undefined
    readonly token: Secret | undefined
    /** Host names, and origins of proxies that speak TLS for us. */
    readonly hosts: readonly string[]
    readonly pullThrough: boolean
  }
  /** Paths are absolute. */
  readonly views: Settings['views']
  readonly notify: readonly NotifyConfig[]
  /** Undefined without a host and a sender. */
  readonly smtp: SmtpConfig | undefined
  readonly log: { readonly level: LogLevel }
  readonly proxy: ProxyConfig
  /** False when NO_COLOR asks for none; else the terminal decides. */
  readonly colorAllowed: boolean
}

/** What flags, environment and file locations add to the values of the file. */
interface ConfigSurroundings {
  readonly archive: string
  readonly viewPaths: readonly string[]
  readonly endpoint: string
  readonly token: Secret | undefined
  readonly proxy: ProxyConfig
  readonly colorAllowed: boolean
}

/** Joins the values of the file with what stands around it. Pure. */
export function resolveConfig(file: ConfigFileValues, around: ConfigSurroundings): Config {
  const { misses, over } = file.hub.confirm_loss
  return {
    archive: around.archive,
    hub: {
      endpoint: around.endpoint,
      token: around.token,
      webhookSecret: secretOf(file.hub.webhook_secret),
      confirmLoss: { misses, overMs: over },
    },
    budget: {
      totalBytes: file.budget.total,
      reserveBytes: file.budget.reserve,
      bytesPerSecond: file.budget.rate,
      window: file.budget.window,
    },
    download: file.download,
    watch: file.watch.map(resolveWatch),
    license: { allow: file.license.allow },
    scrub: { everyMs: file.scrub.every, bytesPerSecond: file.scrub.rate },
    serve: {
      dashboard: file.serve.dashboard === 'off' ? undefined : file.serve.dashboard,
      mirror: file.serve.mirror === 'off' ? undefined : file.serve.mirror,
      token: secretOf(file.serve.token),
      hosts: file.serve.hosts,
      pullThrough: file.serve.pull_through,
    },
    views: file.views.map(({ repos }, at) => ({ path: around.viewPaths[at]!, repos })),
    notify: resolveChannels(file.notify),
    smtp: resolveSmtp(file.smtp),
    log: file.log,
    proxy: around.proxy,
    colorAllowed: around.colorAllowed,
  }
}

/** Entries with the same address are one channel with several rules. */
function resolveChannels(entries: ConfigFileValues['notify']): NotifyConfig[] {
  const groups = Map.groupBy(entries, ({ to }) => `${to.channel} ${to.url}`)
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    if (first === undefined) return []
    return {
      channel: first.to.channel,
      url: new Secret(first.to.url),
      name: first.name,
      rules: group.map(({ min, types, repos }) => ({ min, types, repos })),
      digestMs: first.digest === 'off' ? undefined : first.digest,
      secret: secretOf(first.secret),
      allowPrivate: first.allow_private,
    }
  })
}

function resolveSmtp(smtp: ConfigFileValues['smtp']): SmtpConfig | undefined {
  const { host, from, port, security, user, password } = smtp
  if (host === undefined || from === undefined) return undefined
  return { host, port, security, user, password: secretOf(password), from }
}

/** The part of the configuration that the pipeline works by. */
export function settingsOf(config: Config): Settings {
  return {
    watches: config.watch,
    budgetBytes: config.budget.totalBytes,
    reserveBytes: config.budget.reserveBytes,
    rateBytesPerSecond: config.budget.bytesPerSecond,
    window: config.budget.window,
    confirmLoss: config.hub.confirmLoss,
    licenseAllow: config.license.allow,
    views: config.views,
  }
}

/** A secret for a text that is there and not empty. */
export function secretOf(text: string | undefined): Secret | undefined {
  return text === undefined || text === '' ? undefined : new Secret(text)
}

const DEFAULT_SILENT_AFTER_MS = 60 * 24 * 60 * 60 * 1000

function resolveWatch(entry: ConfigFileValues['watch'][number]): WatchEntry {
  const target = targetOf(entry)
  return {
    key: watchKey(target),
    target,
    everyMs: entry.every,
    silentAfterMs: target.kind === 'repo' ? undefined : (entry.silent_after ?? DEFAULT_SILENT_AFTER_MS),
    keep: {
      files: entry.keep.files,
      formats: entry.keep.formats,
      quants: entry.keep.quants?.map((quant) => quant.toUpperCase()),
      include: entry.keep.include,
      exclude: entry.keep.exclude,
      maxRepoBytes: entry.keep.max_repo,
    },
  }
}

function targetOf(entry: ConfigFileValues['watch'][number]): WatchTarget {
  if (entry.repo !== undefined) return { kind: 'repo', ref: entry.repo }
  if (entry.org !== undefined) return { kind: 'org', owner: entry.org, match: entry.match }
  if (entry.user !== undefined) return { kind: 'user', owner: entry.user, match: entry.match }
  throw new Error('a watch entry without org, user and repo passed the schema')
}
