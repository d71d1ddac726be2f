import assert from 'node:assert/strict'
import test from 'node:test'
import { ConnectionDuplex } from '../../../src/net/duplex.ts'
import { nodeTransport } from '../../../src/net/node-transport.ts'
import { HttpFront } from '../../../src/proxy/http-front.ts'
import { LiveConnections } from '../../../src/proxy/live-connections.ts'
import { dial, outcomeOf } from '../../support/apps.ts'
import { LOOPBACK } from '../../support/proxy-world.ts'

test('HttpFront answers a head that drips for too long with 408 and ends the connection', async (t) => {
  const bad: string[] = []
  const front = new HttpFront({
    gate: {
      admit: () => assert.fail('an incomplete request was judged'),
      describe: () => assert.fail('an incomplete request was reported'),
    },
    live: new LiveConnections(Date.now),
    onAccess: () => {},
    onBadRequest: (error) => bad.push((error as NodeJS.ErrnoException).code ?? ''),
    headersTimeoutMs: 150,
  })
  const listener = await nodeTransport.listen(LOOPBACK, (connection) =>
    front.serve(new ConnectionDuplex(connection)),
  )
  t.after(() => listener.close())
  const socket = await dial(t, listener.address)
  socket.write('GET / HTTP/1.1\r\n')
  const drip = setInterval(() => socket.write('x'), 20)
  t.after(() => clearInterval(drip))
  assert.match((await outcomeOf(socket)).text, /^HTTP\/1\.1 408 /)
  assert.deepEqual(bad, ['ERR_HTTP_REQUEST_TIMEOUT'])
})
