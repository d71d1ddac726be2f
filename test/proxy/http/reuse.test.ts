import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { tcpApp, type TestApp } from '../../support/apps.ts'
import { fetchFrom, worldOf } from '../../support/proxy-world.ts'

/** An application that speaks just enough HTTP for full control of its connections. */
function scripted(t: TestContext, onRequest: (nth: number, socket: Socket) => void): Promise<TestApp> {
  return tcpApp(t, (socket) => {
    let requests = 0
    socket.on('data', () => onRequest(++requests, socket))
    socket.on('end', () => socket.end())
  })
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test('proxy does not use a connection that the application has ended', async (t) => {
  const app = await scripted(t, (_nth, socket) => {
    socket.write(OK)
    setTimeout(() => socket.end(), 20)
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  for (let i = 0; i < 3; i++) {
    assert.equal((await fetchFrom(world.entry, { method: 'POST' }, 'body')).status, 200)
    await delay(60)
  }
  assert.equal(app.connections(), 3)
})

test('proxy sends a repeatable request once more when the application cuts a reused connection, and no other', async (t) => {
  const app = await scripted(t, (nth, socket) => {
    if (nth === 1) socket.write(OK)
    else socket.resetAndDestroy()
  })
  const world = await worldOf(t, { protocol: 'http', app: app.address })
  for (let i = 0; i < 3; i++) assert.equal((await fetchFrom(world.entry, {})).status, 200)
  assert.equal(app.connections(), 3)
  assert.equal((await fetchFrom(world.entry, { method: 'POST' }, 'body')).status, 502)
  assert.equal(app.connections(), 3)
})
