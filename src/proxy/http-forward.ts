import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { isPermit, type Permit } from '../authz/decide.ts'
import { HandfastError, messageOf } from '../errors.ts'
import { ProxyError } from './errors.ts'
import { endToEnd, framing, hasBody, trailerPairs } from './http-headers.ts'
import { MAX_HEADER_BYTES } from './limits.ts'
import { http } from './node-http.ts'
import { PeerAgent } from './peer-agent.ts'
import type { ReuseKey, ReusingAgent } from './reusing-agent.ts'

/** What entitles a request to move: policy's leave for a client of ours, or an agent that proves its peer first. */
export type HttpWarrant = Permit | PeerAgent

/** Where a request goes, and as what. */
export interface HttpRoute {
  readonly agent: ReusingAgent
  /** Requests share connections made under the same key only. */
  readonly reuseKey: string
  /** Headers of the client that are not passed on, in lower case. */
  readonly dropHeaders: readonly string[]
  /** Headers that are added, names and values in turn. */
  readonly addHeaders: readonly string[]
}

export interface ForwardResult {
  /** Of the response that was passed on; absent when none came. */
  readonly status?: number
  readonly requestBytes: number
  readonly responseBytes: number
  readonly error?: Error
  /** The stream to the server. */
  readonly stream?: object | undefined
}

/** RFC 9110 §9.2.2: may be sent again when it is unknown whether they arrived. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

/** @throws ProxyError PROXY_UNPROVEN_PEER */
export function checkWarrant(warrant: HttpWarrant): void {
  if (!isPermit(warrant) && !PeerAgent.is(warrant))
    throw new ProxyError('PROXY_UNPROVEN_PEER', 'A request came with neither a permit nor a proven peer')
}

/** Begins a request to the server of a route; the caller ends it. @throws when the head cannot be written */
export function beginRequest(
  incoming: IncomingMessage,
  route: HttpRoute,
  extra: readonly string[],
): ClientRequest {
  const { agent, reuseKey, dropHeaders, addHeaders } = route
  const key: ReuseKey = { reuseKey }
  return http.request({
    ...key,
    agent,
    ...(incoming.method !== undefined && { method: incoming.method }),
    path: incoming.url ?? '/',
    headers: [...endToEnd(incoming, dropHeaders), ...framing(incoming), ...addHeaders, ...extra],
    setHost: false,
    insecureHTTPParser: false,
    maxHeaderSize: MAX_HEADER_BYTES,
  })
}

/**
 * Passes a request on and its response back, streaming both ways. A response that breaks off reaches the client
 * as a broken connection, never as a shorter response.
 *
 * @param expectsContinue whether the client waits for the server's 100 before it sends its body
 * @returns when the exchange is over; without status, nothing has been sent to the client yet
 */
export function forwardRequest(
  warrant: HttpWarrant,
  { incoming, response }: { readonly incoming: IncomingMessage; readonly response: ServerResponse },
  route: HttpRoute,
  { expectsContinue = false }: { readonly expectsContinue?: boolean } = {},
): Promise<ForwardResult> {
  checkWarrant(warrant)
  return new Promise((resolve) => {
    let requestBytes = 0
    let responseBytes = 0
    let status: number | undefined
    let stream: object | undefined
    let outgoing: ClientRequest | undefined
    let over = false
    const withBody = hasBody(incoming)

    incoming.on('data', (chunk: Buffer) => (requestBytes += chunk.length))
    incoming.pause()
    response.once('close', () => {
      if (response.writableFinished) finish()
      else
        finish(new ProxyError('PROXY_CLIENT_GONE', 'The client went away before the response was complete'))
    })
    send(true)

    function send(mayRetry: boolean): void {
      let attempt: ClientRequest
      try {
        attempt = beginRequest(incoming, route, [])
      } catch (thrown) {
        finish(new ProxyError('PROXY_BAD_REQUEST', messageOf(thrown), { cause: thrown }))
        return
      }
      outgoing = attempt
      attempt.once('socket', (socket) => (stream = socket))
      attempt.once('response', (answer) => relay(answer))
      attempt.once('continue', () => response.writeContinue())
      attempt.on('error', (error: NodeJS.ErrnoException) => {
        // The server may end an unused connection just when we begin to use it.
        const stale = attempt.reusedSocket && status === undefined && !(error instanceof ProxyError)
        if (!over && mayRetry && stale && !withBody && IDEMPOTENT.has(incoming.method ?? '')) send(false)
        else finish(error)
      })
      if (!withBody) {
        attempt.end()
        return
      }
      incoming.once('end', () => {
        const trailers = trailerPairs(incoming)
        if (trailers.length > 0) attempt.addTrailers(trailers)
      })
      incoming.once('error', () => attempt.destroy())
      if (expectsContinue) attempt.flushHeaders()
      incoming.pipe(attempt)
    }

    function relay(answer: IncomingMessage): void {
      if (over) return
      status = answer.statusCode ?? 502
      const headers = endToEnd(answer)
      if (!response.shouldKeepAlive) headers.push('Connection', 'close')
      try {
        response.writeHead(status, answer.statusMessage, headers)
      } catch (thrown) {
        status = undefined
        finish(thrown as Error)
        return
      }
      answer.on('data', (chunk: Buffer) => (responseBytes += chunk.length))
      answer.once('end', () => {
        const trailers = trailerPairs(answer)
        if (trailers.length > 0) response.addTrailers(trailers)
      })
      answer.once('error', (error) =>
        finish(new ProxyError('PROXY_UPSTREAM_GONE', 'The response broke off', { cause: error })),
      )
      answer.pipe(response)
    }

    function finish(error?: Error): void {
      if (over) return
      over = true
      if (error !== undefined) {
        outgoing?.destroy()
        if (response.headersSent) response.destroy()
      }
      resolve({
        ...(status !== undefined && { status }),
        requestBytes,
        responseBytes,
        ...(error !== undefined && { error }),
        stream,
      })
    }
  })
}

/** The status that a failure to reach the server has at the client (RFC 9110 §15.6). */
export function statusOf(error: Error): number {
  switch (error instanceof HandfastError ? error.code : undefined) {
    case 'NET_TIMEOUT':
    case 'TLS_HANDSHAKE_TIMEOUT':
      return 504
    case 'NET_CONNECTION_REFUSED':
    case 'NET_UNREACHABLE':
    case 'NET_NAME_NOT_RESOLVED':
    case 'NET_DESCRIPTORS_EXHAUSTED':
    case 'PROXY_NOT_READY':
      return 503
    case 'PROXY_BAD_REQUEST':
      return 400
    case undefined:
    default:
      return 502
  }
}
