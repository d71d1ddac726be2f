import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import test from 'node:test'
import { connect, createServer } from 'node:tls'
import { meshFiles } from '../cmd/tls-files.ts'
import { testConnect, testServe, type PeerView } from './matrix.ts'
import { NODE, NODE_GROUPS, optionsOf, viewOf } from './peers/node-tls.ts'
import { serveOnce } from './tools.ts'

/** Thousands of records, and far more than any buffer on the way. */
const MEGABYTES = 16

testServe({
  name: 'node:tls',
  program: NODE,
  groups: NODE_GROUPS,
  choosesCell: true,
  prepare: (_t, files) => async (_t, cell, port) => {
    const options = optionsOf(cell, files, files.web)
    const socket = connect({ ...options, port, host: '127.0.0.1', servername: 'localhost' })
    await once(socket, 'secureConnect')
    const view = viewOf(socket)
    socket.end('said by Node')
    const echoed = await text(socket)
    if (echoed !== 'said by Node') throw new Error(`Came back: ${echoed}`)
    return view
  },
})

testConnect({
  name: 'node:tls',
  program: NODE,
  groups: NODE_GROUPS,
  choosesCell: false,
  prepare: (_t, files) => async (t) => {
    const { promise, resolve, reject } = Promise.withResolvers<PeerView>()
    const server = createServer(
      { ...optionsOf(undefined, files, files.catalog), requestCert: true },
      (socket) => {
        const view = viewOf(socket)
        socket.once('error', reject).pipe(socket)
        socket.once('end', () => resolve(view))
      },
    )
    t.after(() => server.close())
    server.once('tlsClientError', reject).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      port: (server.address() as AddressInfo).port,
      request: 'said to Node\n',
      answer: /^said to Node\n$/,
      view: () => promise,
    }
  },
})

test('tls serve and node:tls carry megabytes both ways at once, unchanged', async (t) => {
  const files = await meshFiles(t)
  const server = await serveOnce(t, files.catalog, ['--ca', files.ca, '--require-client-cert'])
  const options = optionsOf(undefined, files, files.web)
  const socket = connect({ ...options, port: server.port, host: '127.0.0.1', servername: 'localhost' })
  t.after(() => socket.destroy())
  const sent = randomBytes(MEGABYTES * 2 ** 20)
  socket.end(sent)
  const received = await buffer(socket)
  assert.ok(received.equals(sent), `${received.length} bytes came back of ${sent.length}`)
  const { code, stderr } = await server.process.ended()
  assert.equal(code, 0, stderr)
  assert.match(stderr, new RegExp(`closed; bytes echoed: ${sent.length}$`, 'm'))
})
