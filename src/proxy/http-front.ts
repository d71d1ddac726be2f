import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { HandfastError, messageOf } from '../errors.ts'
import type { ConnectionDuplex } from '../net/duplex.ts'
import { withoutQuery, type AccessEntry } from '../telemetry/access-log.ts'
import type { ProxyError } from './errors.ts'
import {
  forwardRequest,
  statusOf,
  type ForwardResult,
  type HttpRoute,
  type HttpWarrant,
} from './http-forward.ts'
import { hasBody } from './http-headers.ts'
import { forwardUpgrade, isPassedUpgrade } from './http-upgrade.ts'
import { HEADERS_TIMEOUT_MS, MAX_HEADER_BYTES, PARTING_MS, SERVER_IDLE_MS } from './limits.ts'
import type { LiveConnections } from './live-connections.ts'
import type { MeshView } from './mesh-view.ts'
import { http } from './node-http.ts'

/** What a gate says to one request. */
export type Admission =
  | {
      readonly kind: 'admitted'
      /** What the client is told when the server cannot be reached. */
      readonly id: string
      readonly warrant: HttpWarrant
      readonly route: HttpRoute
      /** Whether a request that is still under way may go on under a new view. */
      judge(view: MeshView): ProxyError | undefined
    }
  | {
      readonly kind: 'refused'
      readonly id: string
      readonly status: 401 | 403 | 503
      readonly error: ProxyError
    }

/** Who may pass an {@link HttpFront}, and where to. */
interface HttpGate {
  admit(incoming: IncomingMessage): Admission
  /** What the access log says of a request beside its outcome. */
  describe(
    incoming: IncomingMessage,
    admission: Admission,
    stream: object | undefined,
  ): Omit<AccessEntry, 'requestBytes' | 'responseBytes' | 'durationMs'>
}

export interface HttpFrontOptions {
  readonly gate: HttpGate
  readonly live: LiveConnections
  readonly onAccess: (entry: AccessEntry) => void
  /** Told of what was no HTTP. */
  readonly onBadRequest: (error: Error, stream: ConnectionDuplex) => void
  /** How long the head of a request may take. @default HEADERS_TIMEOUT_MS */
  readonly headersTimeoutMs?: number
}

interface ClientState {
  readonly underWay: Set<ServerResponse>
  /** Set when a response is to say that the connection takes no further request. */
  retiring: boolean
  draining: boolean
  upgraded: boolean
}

/** Reads connections as HTTP/1.1 with Node's strict parser and passes each request through a gate. */
export class HttpFront {
  readonly #options: HttpFrontOptions
  readonly #server: Server
  readonly #clients = new WeakMap<object, ClientState>()

  constructor(options: HttpFrontOptions) {
    this.#options = options
    const { headersTimeoutMs = HEADERS_TIMEOUT_MS } = options
    const server = http.createServer({
      insecureHTTPParser: false,
      requireHostHeader: true,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: headersTimeoutMs,
      connectionsCheckingInterval: headersTimeoutMs / 3,
      // Bodies may stream for as long as they like; only heads are due in time.
      requestTimeout: 0,
      keepAliveTimeout: SERVER_IDLE_MS,
      shouldUpgradeCallback: isPassedUpgrade,
    })
    server.on('request', (incoming, response) => void this.#exchange(incoming, response, false))
    server.on('checkContinue', (incoming, response) => void this.#exchange(incoming, response, true))
    server.on('upgrade', (incoming, client, head) => void this.#upgrade(incoming, client, head))
    server.on('clientError', (error, stream) => this.#badRequest(error, stream as ConnectionDuplex))
    // Node keeps watch over timeouts from here on; this server gets its connections handed to it and never listens.
    server.emit('listening')
    this.#server = server
  }

  /** Takes a connection over. */
  serve(stream: ConnectionDuplex): void {
    const state: ClientState = { underWay: new Set(), retiring: false, draining: false, upgraded: false }
    this.#clients.set(stream, state)
    stream.once('finish', () => {
      // We have ended: what the client still has to say is nothing that would be answered.
      if (!state.upgraded) setTimeout(() => stream.destroy(), PARTING_MS).unref()
    })
    this.#server.emit('connection', stream)
  }

  /**
   * Ends the connection with the next response. One that is idle stays open until then: a request may be on its way
   * already, and would be lost.
   */
  retire(stream: ConnectionDuplex): void {
    const state = this.#clients.get(stream)
    if (state === undefined) return
    state.retiring = true
    for (const response of state.underWay) response.shouldKeepAlive = false
  }

  /** Lets requests that are under way finish, and ends the connection after them, or at once. */
  drain(stream: ConnectionDuplex): void {
    const state = this.#clients.get(stream)
    if (state === undefined) return
    this.retire(stream)
    state.draining = true
    if (state.underWay.size === 0 && !state.upgraded) stream.end()
  }

  async #exchange(
    incoming: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): Promise<void> {
    const stream = incoming.socket as unknown as ConnectionDuplex
    const state = this.#clients.get(stream)!
    const startedMs = performance.now()
    response.sendDate = false
    if (state.retiring) response.shouldKeepAlive = false
    state.underWay.add(response)
    response.once('close', () => {
      state.underWay.delete(response)
      if (state.draining && state.underWay.size === 0) stream.end()
    })

    const { gate } = this.#options
    const admission = gate.admit(incoming)
    if (admission.kind === 'refused') {
      refuse(response, incoming, admission)
      this.#report(incoming, admission, startedMs, {
        status: admission.status,
        requestBytes: 0,
        responseBytes: 0,
        error: admission.error,
      })
      return
    }
    const { warrant, route, id } = admission
    const ended = this.#watch(admission, stream)
    const result = await forwardRequest(warrant, { incoming, response }, route, { expectsContinue })
    ended()
    const status = result.status ?? (result.error === undefined ? undefined : statusOf(result.error))
    if (result.status === undefined && status !== undefined) refuse(response, incoming, { status, id })
    this.#report(incoming, admission, startedMs, { ...result, ...(status !== undefined && { status }) })
  }

  async #upgrade(incoming: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    const startedMs = performance.now()
    const admission = this.#options.gate.admit(incoming)
    const state = this.#clients.get(client)!
    state.upgraded = true
    client.on('error', () => {})
    if (admission.kind === 'refused') {
      const { id, status, error } = admission
      refuseRaw(client, status, id)
      this.#report(incoming, admission, startedMs, { status, requestBytes: 0, responseBytes: 0, error })
      return
    }
    const ended = this.#watch(admission, client)
    const result = await forwardUpgrade(admission.warrant, { incoming, client, head }, admission.route)
    ended()
    const status = result.status ?? (result.error === undefined ? 502 : statusOf(result.error))
    if (result.status === undefined) refuseRaw(client, status, admission.id)
    this.#report(incoming, admission, startedMs, { ...result, status })
  }

  /** A request under way may be cut, with its connection, when policy changes. */
  #watch(admission: Extract<Admission, { kind: 'admitted' }>, stream: Duplex): () => void {
    return this.#options.live.add({
      expiresAtMs: Infinity,
      judge: (view) => admission.judge(view),
      cut: (reason) => stream.destroy(reason),
      drain: () => {},
    })
  }

  #report(incoming: IncomingMessage, admission: Admission, startedMs: number, result: ForwardResult): void {
    const { gate, onAccess } = this.#options
    const { status, requestBytes, responseBytes, error, stream } = result
    onAccess({
      ...gate.describe(incoming, admission, stream),
      method: incoming.method ?? '',
      path: withoutQuery(incoming.url ?? ''),
      ...(status !== undefined && { status }),
      requestBytes,
      responseBytes,
      durationMs: performance.now() - startedMs,
      ...(error !== undefined && { error: { code: codeOf(error), message: messageOf(error) } }),
    })
  }

  /** Called again for every further chunk of a client that is not understood. */
  #badRequest(error: Error & { code?: string }, stream: ConnectionDuplex): void {
    if (stream.destroyed || stream.writableEnded || this.#clients.get(stream)?.upgraded === true) return
    if (error instanceof HandfastError) {
      stream.destroy()
      return
    }
    const status =
      error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
    stream.end(
      `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    )
    this.#options.onBadRequest(error, stream)
  }
}

/** What a client is told of a refusal: an id to ask the operator about, and nothing else. */
function refusalBody(status: number, id: string): string {
  return `${JSON.stringify(status === 403 || status === 401 ? { decision: id } : { id })}\n`
}

function refusalHeaders(status: number, id: string, body: string): string[] {
  return [
    'Content-Type',
    'application/json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    status === 403 || status === 401 ? 'X-Handfast-Decision' : 'X-Handfast-Id',
    id,
    // RFC 9110 §15.5.2 demands it; what was wrong with the token is for the operator to know.
    ...(status === 401 ? ['WWW-Authenticate', 'Bearer'] : []),
  ]
}

function refuse(
  response: ServerResponse,
  incoming: IncomingMessage,
  { status, id }: { readonly status: number; readonly id: string },
): void {
  if (response.headersSent || response.destroyed) return
  const body = refusalBody(status, id)
  const headers = refusalHeaders(status, id, body)
  // A body that nobody reads would stand between this request and the next.
  if (hasBody(incoming)) response.shouldKeepAlive = false
  if (!response.shouldKeepAlive) headers.push('Connection', 'close')
  response.writeHead(status, headers)
  response.end(body)
}

function refuseRaw(client: Duplex, status: number, id: string): void {
  if (client.destroyed || client.writableEnded) return
  const body = refusalBody(status, id)
  const headers = [...refusalHeaders(status, id, body), 'Connection', 'close']
  let head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n`
  for (let i = 0; i + 1 < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`
  client.end(`${head}\r\n${body}`)
  setTimeout(() => client.destroy(), PARTING_MS).unref()
}

function codeOf(error: Error): string {
  const code = (error as { readonly code?: unknown }).code
  return typeof code === 'string' ? code : error.name
}
