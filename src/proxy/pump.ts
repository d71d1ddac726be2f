import { isPermit, type Permit } from '../authz/decide.ts'
import type { HandfastError } from '../errors.ts'
import type { Connection } from '../net/transport.ts'
import { ProxyError } from './errors.ts'
import { ProvenPeer } from './proven-peer.ts'

/** What entitles bytes to move: policy's leave for a client of ours, or proof of the server we asked for. */
export type Warrant = Permit | ProvenPeer

export interface PumpResult {
  readonly requestBytes: number
  readonly responseBytes: number
  /** Absent when both halves ended cleanly. */
  readonly error?: HandfastError
}

/**
 * Carries bytes both ways until both connections have closed. Ends travel as ends and failures as failures: when one side breaks, the
 * other is aborted, so that nobody takes a part for the whole. A side that does not read slows the other down.
 *
 * @param client who asked; `server` is who answers
 * @throws ProxyError PROXY_UNPROVEN_PEER when the warrant is not genuine; both connections are aborted then
 */
export async function pump(warrant: Warrant, client: Connection, server: Connection): Promise<PumpResult> {
  if (!isPermit(warrant) && !ProvenPeer.is(warrant)) {
    client.abort()
    server.abort()
    throw new ProxyError('PROXY_UNPROVEN_PEER', 'The pump was given neither a permit nor a proven peer')
  }
  const [requests, responses] = await Promise.all([carry(client, server), carry(server, client)])
  const error = requests.error ?? responses.error
  return {
    requestBytes: requests.bytes,
    responseBytes: responses.bytes,
    ...(error !== undefined && { error }),
  }
}

/** Attaches to `from` and carries what comes to `to`; resolves when `from` has closed. */
function carry(
  from: Connection,
  to: Connection,
): Promise<{ bytes: number; error: HandfastError | undefined }> {
  return new Promise((resolve) => {
    let bytes = 0
    from.attach({
      data(chunk) {
        bytes += chunk.length
        if (!to.write(chunk)) from.pause()
      },
      end: () => to.end(),
      // What `from` can take again comes out of `to`.
      drain: () => to.resume(),
      closed(error) {
        if (error !== undefined) to.abort()
        resolve({ bytes, error })
      },
    })
  })
}
