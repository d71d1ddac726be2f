/** A TCP relay between two parties, that harms what passes. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/**
 * Passes on what came, changed or not; undefined cuts both connections there and then.
 *
 * @param number of the chunk in this direction, from 1
 */
export type Meddle = (from: 'client' | 'server', chunk: Buffer, number: number) => Buffer | undefined

/** Relays one connection to a port of loopback; its own port is the result. */
export async function startRelay(t: TestContext, port: number, meddle: Meddle): Promise<number> {
  const relay = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    t.after(() => server.destroy())
    t.after(() => client.destroy())
    const cut = (): void => {
      client.end()
      server.end()
    }
    carry(client, server, (chunk, number) => meddle('client', chunk, number), cut)
    carry(server, client, (chunk, number) => meddle('server', chunk, number), cut)
  })
  t.after(() => relay.close())
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return (relay.address() as AddressInfo).port
}

function carry(
  from: Socket,
  to: Socket,
  meddle: (chunk: Buffer, number: number) => Buffer | undefined,
  cut: () => void,
): void {
  let count = 0
  from.on('error', () => to.destroy())
  from.on('end', () => to.end())
  from.on('data', (chunk: Buffer) => {
    const passed = meddle(chunk, ++count)
    if (passed === undefined) cut()
    else if (!to.writableEnded) to.write(passed)
  })
}
