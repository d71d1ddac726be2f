import type { Socket } from 'node:net'

/** A command, or the report on a rotation in a mesh of which twenty proxies are named: far less than this. */
export const MAX_MESSAGE_BYTES: number = 256 * 1024

/**
 * The JSON object that the other side sends before it ends its half.
 *
 * @throws TypeError for anything else, Error for a connection that breaks
 */
export async function readMessage(socket: Socket, maxBytes: number): Promise<object> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new TypeError(`Expected at most ${maxBytes} bytes`)
    chunks.push(chunk)
    // A line is a whole message.
    if (chunk.includes(0x0a)) break
  }
  const message: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
  if (typeof message !== 'object' || message === null) throw new TypeError('Expected an object')
  return message
}
