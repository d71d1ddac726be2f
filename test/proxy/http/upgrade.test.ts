import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { dial, outcomeOf } from '../../support/apps.ts'
import { mirrored, type Mirrored } from '../../support/http-mirror.ts'
import { allow, fetchFrom, idOf, policy } from '../../support/proxy-world.ts'

test('proxy passes WebSocket upgrades after a permit, and bytes both ways', async (t) => {
  const { world, app } = await mirrored(t)
  app.server.on('upgrade', (incoming: IncomingMessage, socket) => {
    assert.equal(incoming.headers['x-forwarded-client-cert'], `By=${idOf('catalog')};URI=${idOf('web')}`)
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Extra: 1\r\n\r\nhi ',
    )
    socket.pipe(socket)
  })
  const socket = await dial(t, world.entry)
  socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  let text = ''
  socket.on('data', (chunk) => (text += String(chunk)))
  while (!text.includes('hi ')) await delay(5)
  assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  assert.match(text, /X-Extra: 1\r\n/)
  socket.write('frame')
  while (!text.endsWith('frame')) await delay(5)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.end()
  await closed
  const [line] = await world.catalog.log.saw('access')
  assert.equal(line!.fields['status'], 101)
  assert.equal(line!.fields['requestBytes'], 5)
})

test('proxy cuts an upgraded connection that new policy denies', async (t) => {
  const { world, app } = await mirrored(t)
  app.server.on('upgrade', (_incoming, socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  })
  const socket = await dial(t, world.entry)
  socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  await new Promise((resolve) => socket.once('readable', resolve))
  await world.catalog.publishPolicy(policy())
  assert.equal((await outcomeOf(socket)).error, 'ECONNRESET')
})

test('proxy denies an upgrade as it denies a request', async (t) => {
  const { world, app } = await mirrored(t, { rules: [allow('someone-else')] })
  app.server.on('upgrade', () => assert.fail('the upgrade reached the application'))
  const socket = await dial(t, world.entry)
  socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const { text } = await outcomeOf(socket)
  assert.match(text, /^HTTP\/1\.1 403 /)
  assert.match(text, /x-handfast-decision: [0-9a-f]{20}/i)
  assert.equal(app.connections(), 0)
})

test('proxy passes on an ordinary response to an upgrade', async (t) => {
  const { world } = await mirrored(t)
  const socket = await dial(t, world.entry)
  socket.write('GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  const { text } = await outcomeOf(socket)
  assert.match(text, /^HTTP\/1\.1 200 /)
  assert.match(text, /"url":"\/ws"/)
})

test('proxy does not pass on an upgrade to h2c: the request is judged and served as HTTP/1.1', async (t) => {
  const { world } = await mirrored(t)
  const { status, text } = await fetchFrom(world.entry, {
    headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' },
  })
  assert.equal(status, 200)
  const { headers } = JSON.parse(text) as Mirrored
  assert.equal(headers['upgrade'], undefined)
  assert.equal(headers['http2-settings'], undefined)
})
