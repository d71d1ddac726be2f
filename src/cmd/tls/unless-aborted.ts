import type { Connection } from '../../net/transport.ts'

/** Waits for a handshake over `raw`, and cuts the connection when the signal comes first: then the handshake fails. */
export async function unlessAborted<T>(
  raw: Connection,
  signal: AbortSignal,
  handshake: Promise<T>,
): Promise<T> {
  const cut = (): void => raw.abort()
  signal.addEventListener('abort', cut, { once: true })
  if (signal.aborted) cut()
  try {
    return await handshake
  } finally {
    signal.removeEventListener('abort', cut)
  }
}
