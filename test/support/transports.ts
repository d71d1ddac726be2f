import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { loadSockets } from '../../src/native/sockets.ts'
import { epollTransport } from '../../src/net/epoll-transport.ts'
import { nodeTransport } from '../../src/net/node-transport.ts'
import type { Connection, Listener, Transport } from '../../src/net/transport.ts'

/** Every transport that this machine has: tests of what all of them do run over each. */
export const TRANSPORTS: readonly Transport[] = [nodeTransport, ...nativeTransports()]

/** What the product would choose here, for tests of what lies above. */
export const TRANSPORT: Transport = TRANSPORTS.at(-1)!

function nativeTransports(): readonly Transport[] {
  const probe = loadSockets()
  if (probe.kind === 'available') return [epollTransport(probe.sockets)]
  assert.notEqual(process.platform, 'linux', probe.reason)
  return []
}

/** The two ends of a connection over `transport`. */
export interface ConnectedPair {
  readonly client: Connection
  readonly server: Connection
  readonly listener: Listener
}

/** Connects over loopback; what is left of it is aborted after the test. */
export async function connectedPair(t: TestContext, transport: Transport): Promise<ConnectedPair> {
  const accepted = Promise.withResolvers<Connection>()
  const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, accepted.resolve)
  const client = await transport.connect(listener.address, { timeoutMs: 5_000 })
  const server = await accepted.promise
  t.after(async () => {
    client.abort()
    server.abort()
    await listener.close()
  })
  return { client, server, listener }
}
