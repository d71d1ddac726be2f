import assert from 'node:assert/strict'
import test from 'node:test'
import { dial, outcomeOf } from '../../support/apps.ts'
import { mirrored } from '../../support/http-mirror.ts'

for (const [name, head] of [
  [
    'both lengths',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX',
  ],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!'],
  ['chunked not last', 'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
  ['bare line feeds', 'GET / HTTP/1.1\nHost: x\n\n'],
  ['space before colon', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n'],
  ['folded header', 'GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n 2\r\n\r\n'],
  [
    'chunk size with sign',
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n',
  ],
  ['no host', 'GET / HTTP/1.1\r\n\r\n'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'],
] as const) {
  test(`proxy answers a request with ${name} by 400 and passes nothing on`, async (t) => {
    const { world, app } = await mirrored(t)
    const socket = await dial(t, world.entry)
    socket.write(head)
    const { text } = await outcomeOf(socket)
    assert.match(text, /^HTTP\/1\.1 400 /)
    assert.ok(!text.includes('"url"'), text)
    assert.ok(app.connections() <= 1)
  })
}
