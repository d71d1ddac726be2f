import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { utf8 } from '../../src/bytes/bytes.ts'
import { Family } from '../../src/native/socket-address.ts'
import { Socket } from '../../src/native/socket.ts'
import { loadSockets } from '../../src/native/sockets.ts'
import { chooseTransport } from '../../src/net/choose-transport.ts'
import type { NetError } from '../../src/net/errors.ts'
import type { Connection, Transport } from '../../src/net/transport.ts'
import { RecordedConnection } from '../support/recorded-connection.ts'
import { TRANSPORTS } from '../support/transports.ts'

const TIMEOUT = { timeoutMs: 5_000 }
const LOOPBACK = { host: '127.0.0.1', port: 0 }

for (const transport of TRANSPORTS) suite(transport)

function suite(transport: Transport): void {
  const name = `${transport.name}Transport`

  test(`${name} cuts what exceeds the limit of a listener, says so once, and takes connections again`, async () => {
    const errors: NetError[] = []
    const accepted: Connection[] = []
    const listener = await transport.listen(LOOPBACK, (connection) => accepted.push(connection), {
      maxConnections: 2,
      onError: (error) => errors.push(error),
    })
    const connect = async (): Promise<RecordedConnection> =>
      new RecordedConnection(await transport.connect(listener.address, TIMEOUT))
    const held = [await connect(), await connect()]
    while (accepted.length < 2) await delay(1)
    for (let i = 0; i < 20; i++) {
      // The cut may be seen before the connection is, and is an end on one transport, a reset on the other.
      const refused = await connect().catch(() => undefined)
      await Promise.race([refused?.closed, refused?.ended])
      refused?.connection.abort()
    }
    while (listener.refused < 20) await delay(1)
    assert.equal(listener.open, 2)
    assert.deepEqual(
      errors.map(({ code }) => code),
      ['NET_CONNECTION_LIMIT'],
    )
    for (const connection of accepted.splice(0)) connection.abort()
    await Promise.all(held.map(({ closed }) => closed))
    while (listener.open > 0) await delay(1)
    const late = await connect()
    while (accepted.length < 1) await delay(1)
    accepted[0]!.write(utf8('welcome'))
    await late.received(7)
    late.connection.abort()
    accepted[0]!.abort()
    await listener.close()
  })

  test(`${name} connects from the address that it is told, and says when there is none such here`, async () => {
    const accepted: Connection[] = []
    const listener = await transport.listen(LOOPBACK, (connection) => accepted.push(connection))
    const sources = ['127.0.0.6', '127.0.0.7']
    const clients = await Promise.all(
      sources.map((from) => transport.connect(listener.address, { ...TIMEOUT, from })),
    )
    while (accepted.length < 2) await delay(1)
    assert.deepEqual(accepted.map(({ remote }) => remote.host).toSorted(), sources)
    for (const connection of [...clients, ...accepted]) connection.abort()
    await assert.rejects(transport.connect(listener.address, { ...TIMEOUT, from: '192.0.2.1' }), {
      code: 'NET_ADDRESS_UNAVAILABLE',
    })
    await listener.close()
  })

  test(`${name} shares a port among listeners that ask for it, and with nobody else`, async () => {
    const options = { sharesPort: true }
    const accepted: Connection[][] = [[], []]
    const first = await transport.listen(LOOPBACK, (connection) => accepted[0]!.push(connection), options)
    const second = await transport.listen(
      first.address,
      (connection) => accepted[1]!.push(connection),
      options,
    )
    const clients: Connection[] = []
    for (let i = 0; i < 64; i++) clients.push(await transport.connect(first.address, TIMEOUT))
    while (accepted.flat().length < 64) await delay(1)
    assert.ok(
      accepted.every(({ length }) => length > 0),
      accepted.map(({ length }) => length).join(' and '),
    )
    for (const connection of [...clients, ...accepted.flat()]) connection.abort()
    await assert.rejects(
      transport.listen(first.address, (connection) => connection.abort()),
      { code: 'NET_ADDRESS_IN_USE' },
    )
    await first.close()
    await second.close()
  })

  for (const [what, listen, connect, seen] of [
    ['IPv6', '::1', '::1', '::1'],
    ['IPv4 on a dual-stack listener', '::', '127.0.0.1', '127.0.0.1'],
    ['IPv6 on a dual-stack listener', '::', '::1', '::1'],
    ['a name', '127.0.0.1', 'localhost', '127.0.0.1'],
  ] as const) {
    test(`${name} connects by ${what}, and both sides see the addresses plainly`, async () => {
      const accepted = Promise.withResolvers<Connection>()
      const listener = await transport.listen({ host: listen, port: 0 }, accepted.resolve)
      const { port } = listener.address
      const client = await transport.connect({ host: connect, port }, TIMEOUT)
      const server = await accepted.promise
      assert.deepEqual(
        [client.remote, server.local],
        [
          { host: seen, port },
          { host: seen, port },
        ],
      )
      assert.deepEqual(client.local, server.remote)
      assert.equal(server.originalDestination, undefined)
      client.abort()
      server.abort()
      await listener.close()
    })
  }

  test(`${name} fails to connect with NET_NAME_NOT_RESOLVED for a name that nobody has`, async () => {
    await assert.rejects(transport.connect({ host: 'nobody.invalid', port: 1 }, TIMEOUT), {
      code: 'NET_NAME_NOT_RESOLVED',
    })
  })

  test(
    `${name} gives an attempt up at its deadline, or when called off`,
    { skip: cannotStall() },
    async (t) => {
      const address = stalled((dispose) => t.after(dispose))
      await assert.rejects(transport.connect(address, { timeoutMs: 30 }), { code: 'NET_TIMEOUT' })
      const cancel = new AbortController()
      const attempt = transport.connect(address, { ...TIMEOUT, signal: cancel.signal })
      cancel.abort()
      await assert.rejects(attempt, { code: 'NET_CANCELLED' })
    },
  )
}

function cannotStall(): string | false {
  const probe = loadSockets()
  return probe.kind === 'missing' ? `A listener that does not accept: ${probe.reason}` : false
}

/** An address that does not answer: its backlog is full, and Linux drops what comes then. */
function stalled(dispose: (dispose: () => void) => void): { host: string; port: number } {
  const probe = loadSockets()
  assert.ok(probe.kind === 'available')
  const sockets: Socket[] = []
  const open = (): Socket => {
    const socket = Socket.open(probe.sockets.system, Family.ipv4)
    assert.ok(socket instanceof Socket)
    sockets.push(socket)
    return socket
  }
  const listener = open()
  assert.equal(listener.bind(LOOPBACK), 0)
  assert.equal(listener.listen(0), 0)
  const address = listener.localAddress()!
  for (let i = 0; i < 4; i++) open().connect(address)
  dispose(() => {
    for (const socket of sockets) socket.close()
  })
  return address
}

test('chooseTransport takes epoll where it can be had, node where not or where told to', () => {
  const told: string[] = []
  const onFallback = (reason: string): number => told.push(reason)
  const missing = { kind: 'missing', reason: 'no koffi' } as const
  assert.equal(chooseTransport('node', { onFallback }).name, 'node')
  assert.deepEqual(told, [])
  assert.equal(chooseTransport('auto', { onFallback, probe: () => missing }).name, 'node')
  assert.deepEqual(told, ['no koffi'])
  assert.throws(() => chooseTransport('epoll', { onFallback, probe: () => missing }), {
    code: 'NET_TRANSPORT_MISSING',
    message: /no koffi/,
  })
  assert.equal(told.length, 1)
  assert.equal(
    chooseTransport('auto', { onFallback }).name,
    loadSockets().kind === 'available' ? 'epoll' : 'node',
  )
})
