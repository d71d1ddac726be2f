import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as an application of the demo saw it. */
export interface SeenRequest {
  readonly method: string
  readonly path: string
  /** What the sidecar said of the caller; absent when no sidecar was between. */
  readonly caller?: string
}

/** What an application answers on {@link SEEN_PATH}. */
export interface SeenRequests {
  readonly count: number
  /** The last few, newest first. */
  readonly last: readonly SeenRequest[]
}

/** Where an application reports the requests it saw; asking does not count. */
export const SEEN_PATH = '/seen'

const KEPT_REQUESTS = 20

/**
 * Serves plain HTTP on a free loopback port until SIGTERM, and says on standard output where. There is nothing of TLS,
 * identities or policy in here: that is the sidecar's business.
 */
export function serveApp(handle: (incoming: IncomingMessage, response: ServerResponse) => void): void {
  let count = 0
  const last: SeenRequest[] = []
  const server = createServer((incoming, response) => {
    const { method = '', url: path = '', headers } = incoming
    if (path === SEEN_PATH) {
      answerJson(response, { count, last } satisfies SeenRequests)
      return
    }
    const caller = headers['x-forwarded-client-cert']
    count++
    last.unshift({ method, path, ...(typeof caller === 'string' && { caller }) })
    last.splice(KEPT_REQUESTS)
    handle(incoming, response)
  })
  server.listen(0, '127.0.0.1', () => {
    const { address, port } = server.address() as AddressInfo
    process.stdout.write(`${JSON.stringify({ message: 'listening', address: `${address}:${port}` })}\n`)
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      server.close()
      server.closeAllConnections()
    })
  }
}

/** Answers with a value as JSON. */
export function answerJson(response: ServerResponse, value: unknown, status = 200): void {
  const text = `${JSON.stringify(value, undefined, 2)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}
