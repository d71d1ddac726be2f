/**
 * The server behind the proxies: the least HTTP/1.1 that costs next to nothing, so that the proxies are what is measured. It answers
 * `GET /bytes/N` with N bytes and every other request with a hundred.
 */
import { chooseTransport } from '../../src/net/choose-transport.ts'
import type { Connection } from '../../src/net/transport.ts'

const END = '\r\n\r\n'
const SMALL = answer(100, Buffer.alloc(100, 'x'))
const CHUNK = Buffer.alloc(64 * 1024, 'x')

const transport = chooseTransport('auto', { onFallback: () => {} })
const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, serve)
process.stdout.write(`${JSON.stringify({ port: listener.address.port })}\n`)
process.once('SIGTERM', () => process.exit(0))

function serve(connection: Connection): void {
  let rest = ''
  let left = 0

  function stream(): void {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= chunk.length
      if (!connection.write(chunk, 'given')) return
    }
  }

  connection.attach({
    data(bytes) {
      const heads = (rest + latin1(bytes)).split(END)
      rest = heads.pop()!
      for (const head of heads) {
        const size = head.startsWith('GET /bytes/') ? Number.parseInt(head.slice(11), 10) : undefined
        if (size === undefined) {
          connection.write(SMALL, 'given')
        } else {
          connection.write(answer(size, Buffer.alloc(0)))
          left += size
          stream()
        }
      }
    },
    end: () => connection.end(),
    drain: stream,
    closed() {},
  })
}

function latin1({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1')
}

function answer(length: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${length}${END}`), body])
}
