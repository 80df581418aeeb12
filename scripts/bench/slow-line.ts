/**
 * A line in front of a server, as a process. No losses. Prints the port it listens on.
 *
 * `slow-line.ts far <port of the server> <bytes a second> <round trip ms>`: a long one. Each connection takes one round
 * trip to open, delays bytes by half a one each way, and passes no more than its rate.
 *
 * `slow-line.ts narrow <port of the server> <bytes a second>`: a short one, whose rate all connections share.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

const [kind, ...numbers] = process.argv.slice(2)
const [port = 0, bytesPerSecond = 0, roundTripMs = 0] = numbers.map(Number)
const halfMs = roundTripMs / 2
/** What may be under way on a long line: more would be more than the rate. */
const windowBytes = (bytesPerSecond * roundTripMs) / 1000
/** A narrow line may have passed so much more than its rate allows: timers are no finer. */
const BURST_MS = 4
/** When a narrow line will have passed what it took. */
let busyUntilMs = 0

const server = createServer({ noDelay: true }, (client) => {
  client.on('error', () => client.destroy())
  if (kind === 'far') setTimeout(() => joinFar(client), roundTripMs)
  else joinNarrow(client)
})

function joinFar(client: Socket): void {
  const upstream = connect(port, '127.0.0.1')
  let underWay = 0
  client.on('data', (bytes) => setTimeout(() => upstream.write(bytes), halfMs))
  client.on('close', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
  upstream.on('end', () => setTimeout(() => client.end(), halfMs))
  upstream.on('data', (bytes) => {
    underWay += bytes.length
    if (underWay >= windowBytes) upstream.pause()
    setTimeout(() => client.write(bytes), halfMs)
    // The window opens again when the far side has told that it has them.
    setTimeout(() => {
      underWay -= bytes.length
      if (underWay < windowBytes) upstream.resume()
    }, roundTripMs)
  })
}

function joinNarrow(client: Socket): void {
  const upstream = connect(port, '127.0.0.1')
  client.pipe(upstream)
  client.on('close', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
  upstream.on('end', () => client.end())
  upstream.on('data', (bytes) => {
    const nowMs = performance.now()
    busyUntilMs = Math.max(nowMs, busyUntilMs) + (bytes.length / bytesPerSecond) * 1000
    const aheadMs = busyUntilMs - nowMs
    const isTaken = client.write(bytes)
    if (isTaken && aheadMs <= BURST_MS) return
    upstream.pause()
    const goOn = (): void => void setTimeout(() => upstream.resume(), Math.max(0, busyUntilMs - performance.now()))
    if (isTaken) goOn()
    else client.once('drain', goOn)
  })
}

server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit())
