import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Epoll, Readiness } from '../../src/native/epoll.ts'
import { Family } from '../../src/native/socket-address.ts'
import { acceptedFrom, EAGAIN, EINPROGRESS, NO_DELAY, Socket, systemError } from '../../src/native/socket.ts'
import { loadSockets, type NativeSockets } from '../../src/native/sockets.ts'

const probe = loadSockets()
const skip = probe.kind === 'missing' && process.platform !== 'linux' ? probe.reason : false

function native(): NativeSockets {
  assert.equal(probe.kind, 'available', probe.kind === 'missing' ? probe.reason : '')
  return probe.sockets
}

function must<T>(value: T | number): T {
  assert.notEqual(typeof value, 'number', `errno ${String(value)}`)
  return value as T
}

/** Two connected sockets. */
function pair(): [Socket, Socket] {
  const { system } = native()
  using listener = must(Socket.open(system, Family.ipv4))
  assert.equal(listener.bind({ host: '127.0.0.1', port: 0 }), 0)
  assert.equal(listener.listen(8), 0)
  const client = must(Socket.open(system, Family.ipv4))
  const result = client.connect(listener.localAddress()!)
  assert.ok(result === 0 || result === EINPROGRESS)
  let server = listener.accept()
  while (server === EAGAIN) server = listener.accept()
  assert.deepEqual(acceptedFrom(), client.localAddress())
  return [client, must(server)]
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

test('loadSockets finds the system calls here, and looks only once', { skip }, () => {
  assert.equal(loadSockets(), loadSockets())
  native()
})

test('Socket sends and receives within the arrays it is given, and shows the end as 0', { skip }, () => {
  const [client, server] = pair()
  assert.equal(server.receive(new Uint8Array(10)), EAGAIN)
  assert.equal(client.send(Buffer.from('hello')), 5)
  const memory = Buffer.alloc(12, '-')
  assert.equal(server.receive(memory.subarray(4, 7)), 3)
  assert.equal(memory.toString(), '----hel-----')
  assert.equal(server.receive(memory.subarray(8)), 2)
  client.endWriting()
  assert.equal(server.receive(memory), 0)
  client.close()
  server.close()
})

test('Socket refuses an empty array, which would look like the end of the stream', { skip }, () => {
  const [client, server] = pair()
  assert.throws(() => client.receive(new Uint8Array(0)), RangeError)
  assert.throws(() => client.send(new Uint8Array(0)), RangeError)
  client.close()
  server.close()
})

test('Socket is not used after it was closed, and closes its descriptor once', { skip }, () => {
  const before = descriptors()
  const [server, client] = pair()
  const filler = must(Socket.open(native().system, Family.ipv4))
  const { fd } = client
  client.close()
  // The kernel gives the lowest number that is free: this one has the number of the closed one.
  const heir = must(Socket.open(native().system, Family.ipv4))
  assert.equal(heir.fd, fd)
  client.close()
  client.reset()
  assert.equal(heir.set(NO_DELAY, 1), 0, 'the second close hit another socket')
  for (const use of [
    () => client.fd,
    () => client.receive(new Uint8Array(1)),
    () => client.send(new Uint8Array(1)),
    () => client.endWriting(),
    () => client.takeError(),
    () => client.set(NO_DELAY, 1),
    () => client.localAddress(),
    () => client.originalDestination(false),
  ])
    assert.throws(use, ReferenceError)
  for (const socket of [heir, filler, server]) socket.close()
  assert.equal(descriptors(), before)
})

test('Socket reports what failed as a negative errno that has a name', { skip }, () => {
  const { system } = native()
  using socket = must(Socket.open(system, Family.ipv4))
  assert.equal(systemError('bind', socket.bind({ host: '192.0.2.1', port: 0 })).code, 'EADDRNOTAVAIL')
  assert.equal(systemError('recv', socket.receive(new Uint8Array(1))).code, 'ENOTCONN')
  assert.equal(socket.originalDestination(false), undefined)
  assert.equal(socket.takeError(), 0)
})

test('Socket shows a reset as ECONNRESET', { skip }, () => {
  const [client, server] = pair()
  client.reset()
  assert.equal(systemError('recv', server.receive(new Uint8Array(1))).code, 'ECONNRESET')
  server.close()
})

test('Epoll tells readiness with the descriptor and the tag that came with it', { skip }, () => {
  const { system } = native()
  using epoll = must(Epoll.create(system, 4))
  const [client, server] = pair()
  assert.equal(epoll.add(server.fd, Readiness.readable, -7), 0)
  assert.equal(epoll.add(client.fd, Readiness.readable, 0x7fff_ffff), 0)
  assert.equal(epoll.wait(), 0)
  client.send(Uint8Array.of(1))
  assert.equal(epoll.wait(), 1)
  assert.deepEqual([epoll.descriptor(0), epoll.tag(0)], [server.fd, -7])
  assert.equal(epoll.readiness(0), Readiness.readable)
  assert.equal(epoll.change(server.fd, Readiness.writable, -8), 0)
  assert.equal(epoll.wait(), 1)
  assert.deepEqual([epoll.readiness(0), epoll.tag(0)], [Readiness.writable, -8])
  assert.equal(epoll.remove(server.fd), 0)
  assert.equal(epoll.wait(), 0)
  server.reset()
  assert.equal(epoll.wait(), 1)
  assert.equal(epoll.descriptor(0), client.fd)
  assert.equal(epoll.tag(0), 0x7fff_ffff)
  assert.ok((epoll.readiness(0) & Readiness.hangUp) !== 0 && (epoll.readiness(0) & Readiness.error) !== 0)
  client.close()
})

test('Epoll takes no more events at a time than it has room for', { skip }, () => {
  using epoll = must(Epoll.create(native().system, 2))
  const sockets = [pair(), pair(), pair()].flat()
  for (const { fd } of sockets) epoll.add(fd, Readiness.writable, fd)
  assert.equal(epoll.wait(), 2)
  for (const socket of sockets) socket.close()
  assert.equal(epoll.wait(), 0)
})

test('Epoll is not used after disposal', { skip }, () => {
  const epoll = must(Epoll.create(native().system, 1))
  epoll[Symbol.dispose]()
  epoll[Symbol.dispose]()
  assert.throws(() => epoll.wait(), ReferenceError)
})

test(
  'NativeSockets.poll calls back from the event loop while the descriptor is readable',
  { skip },
  async () => {
    const sockets = native()
    using epoll = must(Epoll.create(sockets.system, 1))
    const [client, server] = pair()
    epoll.add(server.fd, Readiness.readable, 0)
    let calls = 0
    const twice = Promise.withResolvers<void>()
    const poll = sockets.poll(epoll.fd, () => {
      // Outside of Node's scopes a promise would not go on by itself.
      if (++calls === 2) setImmediate(twice.resolve)
    })
    await delay(10)
    assert.equal(calls, 0)
    client.send(Uint8Array.of(1))
    await twice.promise
    server.receive(new Uint8Array(1))
    // The event loop may have seen the byte before it was taken.
    await delay(1)
    const after = calls
    await delay(10)
    assert.equal(calls, after)
    poll.close()
    client.close()
    server.close()
  },
)
