import type { SecureConnection } from '../../net/engine-connection.ts'

/** After being told to stop, so long the peer has to answer our close_notify. */
const FAREWELL_MS = 500

/**
 * Sends back what comes until the peer ends its half, then ends ours. Early data is part of it: a replay is sent back as
 * well, which does nobody harm.
 *
 * @returns the bytes sent back
 * @throws HandfastError when the connection broke
 */
export async function echo(connection: SecureConnection, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const { earlyData } = connection
  let bytesEchoed = earlyData.length
  let farewell: NodeJS.Timeout | undefined
  const leave = (): void => {
    connection.end()
    farewell = setTimeout(() => connection.abort(), FAREWELL_MS)
  }
  connection.attach({
    data: (bytes) => {
      bytesEchoed += bytes.length
      // A peer that sends without reading is slowed down by TCP, not by our memory.
      if (!connection.write(bytes)) connection.pause()
    },
    end: () => connection.end(),
    drain: () => connection.resume(),
    closed: (error) => (error === undefined ? resolve(bytesEchoed) : reject(error)),
  })
  if (earlyData.length > 0) connection.write(earlyData)
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  try {
    return await promise
  } finally {
    clearTimeout(farewell)
    signal.removeEventListener('abort', leave)
  }
}
