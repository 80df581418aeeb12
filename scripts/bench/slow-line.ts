/**
 * A long line in front of a server, as a process: `slow-line.ts <port of the server> <round trip ms> <bytes a second>`.
 * Each connection takes one round trip to open, delays bytes by half a one each way, and passes no more than its rate. No
 * losses. Prints the port it listens on.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

const [port = 0, roundTripMs = 0, bytesPerSecond = 0] = process.argv.slice(2).map(Number)
const halfMs = roundTripMs / 2
/** What may be under way: more would be more than the rate. */
const windowBytes = (bytesPerSecond * roundTripMs) / 1000

const server = createServer({ noDelay: true }, (client) => {
  setTimeout(() => join(client), roundTripMs)
  client.on('error', () => client.destroy())
})

function join(client: Socket): void {
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

server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit())
