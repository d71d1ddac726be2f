/**
 * In a network namespace of its own: redirects port 8080 of everywhere to a listener on both families, connects to two addresses
 * of others and to the listener itself, and prints what the listener takes for the original destinations, as JSON.
 */
import { execFileSync } from 'node:child_process'
import { formatAddress, type Address } from '../../../src/config/address.ts'
import { chooseTransport } from '../../../src/net/choose-transport.ts'
import type { Connection } from '../../../src/net/transport.ts'

const TIMEOUT = { timeoutMs: 5_000 }
const MEANT: readonly Address[] = [
  { host: '192.0.2.10', port: 8080 },
  { host: '2001:db8::10', port: 8080 },
]

const transport = chooseTransport(process.argv[2] as 'epoll' | 'node', {
  onFallback(reason) {
    throw new Error(reason)
  },
})
run('ip', 'link set lo up')
for (const { host } of MEANT) run('ip', `address add ${host} dev lo${host.includes(':') ? ' nodad' : ''}`)
let arrived = Promise.withResolvers<Connection>()
const listener = await transport.listen(
  { host: '::', port: 0 },
  (connection) => arrived.resolve(connection),
  {
    isRedirected: true,
  },
)
const { port } = listener.address
execFileSync('nft', ['-f', '-'], {
  input: `table inet capture {
  chain output {
    type nat hook output priority -100;
    tcp dport 8080 redirect to :${port}
  }
}`,
})
const told: unknown[] = []
for (const meant of MEANT) {
  const { local, originalDestination } = await arrival(meant)
  told.push({ meant, local: local.host, original: originalDestination })
}
const straight = { host: '127.0.0.1', port }
const { local, originalDestination } = await arrival(straight)
told.push({
  meant: 'the listener itself',
  local: local.host,
  isElsewhere:
    originalDestination !== undefined && formatAddress(originalDestination) !== formatAddress(straight),
})
process.stdout.write(JSON.stringify(told))
process.exit(0)

async function arrival(to: Address): Promise<Connection> {
  arrived = Promise.withResolvers()
  const [client, server] = await Promise.all([transport.connect(to, TIMEOUT), arrived.promise])
  client.abort()
  server.abort()
  return server
}

function run(file: string, args: string): void {
  execFileSync(file, args.split(' '))
}
