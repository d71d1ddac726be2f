/**
 * The server behind the proxies: the least HTTP/1.1 that costs next to nothing, so that the proxies are what is measured. It answers
 * `GET /bytes/N` with N bytes and every other request with a hundred.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net'

const END = '\r\n\r\n'
const SMALL = answer(100, Buffer.alloc(100, 'x'))
const CHUNK = Buffer.alloc(64 * 1024, 'x')

const server = createServer({ noDelay: true }, serve)
server.listen(0, '127.0.0.1', 1024, () => {
  process.stdout.write(`${JSON.stringify({ port: (server.address() as AddressInfo).port })}\n`)
})
process.once('SIGTERM', () => process.exit(0))

function serve(socket: Socket): void {
  let rest = ''
  socket.on('error', () => socket.destroy())
  socket.on('data', (bytes) => {
    const heads = (rest + bytes.toString('latin1')).split(END)
    rest = heads.pop()!
    for (const head of heads) {
      const size = /^GET \/bytes\/(\d+) /.exec(head)?.[1]
      if (size === undefined) socket.write(SMALL)
      else stream(socket, Number(size))
    }
  })
}

function stream(socket: Socket, size: number): void {
  let left = size
  socket.write(answer(size, Buffer.alloc(0)))
  more()

  function more(): void {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= chunk.length
      if (!socket.write(chunk)) {
        socket.once('drain', more)
        return
      }
    }
  }
}

function answer(length: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${length}${END}`), body])
}
