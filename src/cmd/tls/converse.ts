import type { Connection } from '../../net/transport.ts'
import type { CommandIo } from '../command.ts'

/** After a signal, so long the peer has to answer our close_notify. */
const FAREWELL_MS = 500

/**
 * Sends standard input to the peer and the peer's bytes to standard output until the peer has ended its half; then
 * ours ends too.
 *
 * @param first goes before standard input
 * @throws HandfastError when the connection broke
 */
export async function converse(
  connection: Connection,
  { stdin, stdout, signal }: CommandIo,
  first: Uint8Array,
): Promise<void> {
  const { promise: over, resolve, reject } = Promise.withResolvers<void>()
  let farewell: NodeJS.Timeout | undefined
  const send = (chunk: Uint8Array | string): void => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (!connection.write(bytes)) stdin.pause()
  }
  const endOurs = (): void => {
    // What is still to come from standard input has nobody to go to.
    stdin.off('data', send)
    connection.end()
  }
  const leave = (): void => {
    endOurs()
    farewell = setTimeout(() => connection.abort(), FAREWELL_MS)
  }
  connection.attach({
    data: (bytes) => {
      // The stream keeps what it cannot pass on at once, and the bytes are ours only during this call.
      if (stdout.write(bytes.slice())) return
      connection.pause()
      stdout.once('drain', () => connection.resume())
    },
    end: endOurs,
    drain: () => stdin.resume(),
    closed: (error) => (error === undefined ? resolve() : reject(error)),
  })
  if (first.length > 0) connection.write(first)
  stdin.on('data', send)
  // It may have been read to its end already, as early data.
  if (stdin.readableEnded) endOurs()
  else stdin.once('end', endOurs)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  try {
    await over
  } finally {
    clearTimeout(farewell)
    signal.removeEventListener('abort', leave)
    stdin.off('data', send)
    stdin.off('end', endOurs)
    stdin.pause()
  }
}
