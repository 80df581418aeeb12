const DEFAULT_ARCHIVE = './archive'

/**
 * The commented configuration that `weightvault init` writes; its values are the defaults.
 * @param archive what stands at `archive:`, as a path in the file
 */
export function configTemplate(archive = DEFAULT_ARCHIVE): string {
  if (archive === DEFAULT_ARCHIVE) return TEMPLATE
  // A double-quoted YAML text reads as JSON does; "$${" keeps the reader from looking for a variable.
  const value = JSON.stringify(archive.replaceAll('${', () => '$${'))
  return TEMPLATE.replace(`archive: ${DEFAULT_ARCHIVE}\n`, () => `archive: ${value}\n`)
}

const TEMPLATE = `# yaml-language-server: $schema=./weightvault.schema.json
#
# Configuration of weightvault. Every key is optional; what stands here without "#" is the default.
# A command-line flag wins over the environment, the environment over this file.
# Sizes: 8MiB (powers of 1024) or 4TB (powers of 1000). Durations: 500ms, 10s, 15m, 6h, 30d.
# \${NAME} in a text is replaced by that environment variable, which must be set; $\${ stands for the characters.

# Folder of the archive, relative to the folder of this file. (WEIGHTVAULT_ARCHIVE)
archive: ./archive

hub:
  # Where the Hub is. (HF_ENDPOINT)
  endpoint: https://huggingface.co
  # Access token: for gated and private repositories, and for higher rate limits. Without this key, HF_TOKEN,
  # HF_TOKEN_PATH and the token of "hf auth login" are used.
  # token: \${HF_TOKEN}
  # Secret of a webhook of the Hub that posts to /webhooks/huggingface on the dashboard port: a hint to look sooner.
  # webhook_secret: \${HUB_WEBHOOK_SECRET}
  # A loss is raised only after so many polls without the repository, and only after so long (0s: by count alone).
  confirm_loss: { misses: 3, over: 30m }

budget:
  # The archive never grows past this.
  total: 500GB
  # Free space always left on the disk.
  reserve: 20GB
  # Cap on downloads, all connections together. Default: none.
  # rate: 50MB/s
  # Local time in which large files are fetched; outside it only listings and small files move. Default: always.
  # window: "23:00-07:00"

download:
  # For hard disks: one connection a file, and one write after another in the order of the file.
  sequential: false

watch:
  # Each entry has one of org, user or repo (owner/name, or datasets/owner/name).
  - org: Qwen
    # How often to ask for news: 1s to 7d.
    every: 10m
    # Nothing new or updated for so long is told as org-silent; a pause far longer than any of the year before, earlier.
    silent_after: 60d
    keep:
      # all: what the filters below let through. metadata: only cards, configs, licences and tokenizers.
      files: all
      # Only these formats: safetensors, gguf, bin, pt, pth, ckpt, onnx, h5, msgpack, npz, tflite, other.
      # A shard set is always kept whole. Default: every format.
      # formats: [safetensors, gguf]
      # For GGUF, only these quantisations. Default: every quantisation.
      # quants: [Q8_0, Q4_K_M]
      # Globs on the path in the repository: * is any text, also across folders; ? is one character.
      include: ['*']
      exclude: []
      # Of a larger repository only the small files are kept. Default: no limit.
      # max_repo: 200GB
  # People who publish quantised files; match is a glob on the name of the repository.
  # - user: unsloth
  #   match: "Qwen3*-GGUF"
  #   keep: { quants: [UD-Q4_K_XL] }

license:
  # Anything else that a watched repository becomes is a critical event.
  allow: [apache-2.0, mit]

# Not in this release: has no effect yet.
scrub:
  # Every archived byte is read and checked again within this time, at no more than this rate.
  every: 30d
  rate: 100MB/s

serve:
  # host:port, or off.
  dashboard: 127.0.0.1:8420
  mirror: 127.0.0.1:8421
  # Required for any address that is not loopback.
  # token: \${WEIGHTVAULT_TOKEN}
  # Other names they are asked by: a host name, or an origin where a proxy speaks TLS for them.
  # hosts: [vault.lan, "https://vault.example"]
  # Whether the mirror fetches and archives a file of a watched repository that it is asked for and lacks.
  pull_through: false

# Folders on the archive's disk that show the newest sealed commit of each repository as a Hugging Face cache, in
# read-only hard links: HF_HUB_CACHE=/srv/hub HF_HUB_OFFLINE=1.
views: []
#  - path: /srv/hub
#    # Which repositories. Default: all.
#    repos: ["Qwen/*"]
#    as: hf-cache

# Who is told about events: https: (a webhook), ntfy:, slack:, discord: or mailto:. Prove each with "weightvault notify test".
notify: []
#  - to: "https://hooks.example/x"
#    # The least severity that is sent: info, notice, warning or critical.
#    min: warning
#    # Only these types of events, and only these repositories. Default: all.
#    types: [license-changed, repo-unavailable]
#    repos: ["Qwen/*"]
#    # How the channel is called. Default: its kind and host.
#    name: ops
#    # Events of severity info are summed up this often; off sends them as they come.
#    digest: 1d
#    # Key of a webhook's signature (HMAC-SHA256), or access token of ntfy.
#    secret: \${WEBHOOK_SECRET}
#    # Whether the channel may be at a private address: in this network, or on this machine.
#    allow_private: false

smtp:
  # The mail server for mailto: channels, and the sender.
  # host: smtp.example.org
  # from: weightvault@example.org
  port: 587
  # starttls, tls (port 465) or none.
  security: starttls
  # user: weightvault
  # password: \${SMTP_PASSWORD}

log:
  # trace, debug, info, warn, error, fatal or silent.
  level: info
`
