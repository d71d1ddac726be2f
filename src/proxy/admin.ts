import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Address } from '../config/address.ts'
import { isLoopback } from '../config/address.ts'
import type { ProxyConfig } from '../config/proxy-config.ts'
import type { CryptoProvider } from '../crypto/provider.ts'
import { HandfastError } from '../errors.ts'
import { ConnectionDuplex } from '../net/duplex.ts'
import type { Connection, Listener, Transport } from '../net/transport.ts'
import { handshakeDetail } from '../telemetry/handshake-record.ts'
import { certificateJson, plainJson, timeJson, type Json } from '../telemetry/plain-json.ts'
import { HEADERS_TIMEOUT_MS } from './limits.ts'
import { decisionDetail, decisionList, revisionList } from './decision-pages.ts'
import { flightLogText, followFlightLog, MAX_FOLLOWERS } from './flight-stream.ts'
import type { MeshViews } from './mesh-view.ts'
import { http } from './node-http.ts'
import type { RevisionHistory } from './revision-history.ts'
import type { DataPlanes } from './threads/data-planes.ts'

/** What the admin pages show and do. */
export interface AdminOptions {
  readonly config: ProxyConfig
  readonly planes: DataPlanes
  readonly transport: Transport
  readonly crypto: CryptoProvider
  /** Wall clock, in milliseconds since the Unix epoch. */
  readonly nowMs: () => number
  readonly views: MeshViews
  readonly history: RevisionHistory
  /** Where each listener came to listen, by name. */
  readonly addresses: Readonly<Record<string, Address>>
  /** What the controller's state was numbered, once there is one. */
  readonly stateNumber: () => number | undefined
  readonly isDraining: () => boolean
  /** Begins to drain. */
  readonly drain: () => void
}

/** Columns of an explanation: below the least they no longer align. */
const MIN_WIDTH = 80
const DEFAULT_WIDTH = 100
const MAX_WIDTH = 200

interface Answer {
  readonly status: number
  /** Text is sent as it is, and a stream writes as it likes. */
  readonly body: Json | PlainText | Stream
}

class PlainText {
  readonly text: string
  readonly type: string

  constructor(text: string, type = 'text/plain; charset=utf-8') {
    this.text = text
    this.type = type
  }
}

class Stream {
  readonly begin: (response: ServerResponse) => void

  constructor(begin: (response: ServerResponse) => void) {
    this.begin = begin
  }
}

/** One JSON object a line. */
const JSON_LINES = 'application/jsonl'

interface Route {
  readonly method: 'GET' | 'POST'
  answer(query: URLSearchParams): Answer | Promise<Answer>
}

/**
 * Serves the operator on a loopback address, in JSON. Nothing in it is secret, but it is nobody's business outside
 * this machine either: requests that a web page of elsewhere could have caused are refused.
 *
 * @throws NetError when the address cannot be listened on
 */
export async function listenAdmin(options: AdminOptions): Promise<Pick<Listener, 'address' | 'close'>> {
  const { transport, config } = options
  const routes = routesOf(options)
  const server = http.createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 3 },
    async (incoming, response) => reply(response, await answerTo(routes, incoming)),
  )
  // Node keeps watch over timeouts from here on; this server gets its connections handed to it and never listens.
  server.emit('listening')
  const open = new Set<Connection>()
  const listener = await transport.listen(config.admin.listen, (connection) => {
    open.add(connection)
    const stream = new ConnectionDuplex(connection)
    stream.once('close', () => open.delete(connection))
    stream.on('error', () => {})
    server.emit('connection', stream)
  })
  return {
    address: listener.address,
    async close() {
      await listener.close()
      for (const connection of open) connection.abort()
    },
  }
}

function answerTo(routes: ReadonlyMap<string, Route>, incoming: IncomingMessage): Answer | Promise<Answer> {
  const { host, origin } = incoming.headers
  if (!isLocalName(`http://${host ?? ''}`) || (origin !== undefined && !isLocalName(origin)))
    return failure(403, 'Only names of this machine are served: use 127.0.0.1 or localhost')
  const url = new URL(incoming.url ?? '/', 'http://localhost')
  const route = routes.get(url.pathname)
  if (route === undefined) return failure(404, `No such page; there are ${[...routes.keys()].join(', ')}`)
  if (incoming.method !== route.method) return failure(405, `${url.pathname} takes ${route.method} only`)
  return route.answer(url.searchParams)
}

/** A name that some DNS server made to point here is not one of this machine's (DNS rebinding). */
function isLocalName(origin: string): boolean {
  const host = URL.parse(origin)?.hostname.replace(/^\[(.*)\]$/, '$1')
  return host !== undefined && isLoopback({ host, port: 0 })
}

function reply(response: ServerResponse, { status, body }: Answer): void {
  const headers = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
  if (body instanceof Stream) {
    response.writeHead(status, { ...headers, 'content-type': JSON_LINES })
    body.begin(response)
    return
  }
  const plain = body instanceof PlainText
  const text = plain ? body.text : `${JSON.stringify(body, undefined, 2)}\n`
  response.writeHead(status, {
    ...headers,
    'content-type': plain ? body.type : 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}

function routesOf(options: AdminOptions): ReadonlyMap<string, Route> {
  const { planes, config, addresses, drain } = options
  const get = (answer: Route['answer']): Route => ({ method: 'GET', answer })
  return new Map<string, Route>([
    ['/ready', get(() => readiness(options))],
    ['/healthz', get(() => success({ status: 'alive' }))],
    ['/config', get(() => success({ ...asObject(plainJson(config)), addresses: plainJson(addresses) }))],
    ['/svid', get(() => ownIdentity(options))],
    ['/threads', get(async () => success(plainJson(await planes.threads())))],
    [
      '/decisions',
      get(async (query) => {
        const id = query.get('id')
        if (id === null) return success(await decisionList(planes))
        return found(await decisionDetail(id, options), `decision ${id}`)
      }),
    ],
    [
      '/handshakes',
      get(async (query) => {
        const id = query.get('id')
        if (id === null) return success(await planes.handshakes())
        const facts = await planes.handshake(Number(id))
        return found(facts && handshakeDetail(facts), `handshake ${id}`)
      }),
    ],
    ['/explain', get((query) => explain(options, query))],
    ['/policy-revisions', get(() => success(revisionList(options.history)))],
    ['/flight-log', get((query) => flightLog(options, query))],
    [
      '/drain',
      {
        method: 'POST',
        answer() {
          drain()
          return { status: 202, body: { draining: true, live: planes.live } }
        },
      },
    ],
  ])
}

function readiness({ views, nowMs, planes, isDraining }: AdminOptions): Answer {
  const usable = views.usable(nowMs()) !== undefined
  const isServing = planes.isServing
  const ready = usable && isServing && !isDraining()
  const expired = !usable && views.current !== undefined
  const missing = [
    ...(views.svid === undefined ? ['identity'] : []),
    ...(expired ? ['a valid identity'] : []),
    ...(views.current === undefined ? ['policy'] : []),
    ...(usable && !isServing ? ['a data-plane thread'] : []),
  ]
  return {
    status: ready ? 200 : 503,
    body: { ready, ...(missing.length > 0 && { missing }), ...(isDraining() && { draining: true }) },
  }
}

function ownIdentity({ views, stateNumber }: AdminOptions): Answer {
  const { svid, renewals, current } = views
  if (svid === undefined) return failure(503, 'There is no identity yet')
  const [leaf, ...intermediates] = svid.chain
  return success({
    id: svid.id.toString(),
    expiresAt: timeJson(svid.expiresAtMs),
    certificate: certificateJson(leaf!),
    intermediates: intermediates.map(certificateJson),
    renewals,
    identityVersion: current?.identityVersion ?? null,
    policyRevision: current?.policy.revision ?? null,
    stateNumber: stateNumber() ?? null,
    trustDomains: [...(current?.bundles.trustDomains ?? [])],
  })
}

/** One handshake as the story it is: text for people, coloured and as wide as they ask for, or JSON. */
async function explain({ planes, crypto }: AdminOptions, query: URLSearchParams): Promise<Answer> {
  const id = query.get('id')
  if (id === null) return failure(400, 'Expected ?id= with the id of a handshake; /handshakes lists them')
  const facts = await planes.handshake(Number(id))
  if (facts === undefined) return found(undefined, `handshake ${id}`)
  if (!facts.stepsKept)
    return failure(
      404,
      `Handshake ${id} succeeded among so many that its steps were not kept; failures keep theirs`,
    )
  const side = facts.origin.direction === 'outbound' ? 'client' : 'server'
  const ended = facts.error instanceof HandfastError ? facts.error : undefined
  // Loaded when somebody asks: most proxies are never asked.
  const { explainHandshake } = await import('../diagnose/explain.ts')
  const explanation = explainHandshake(facts.events, side, ended)
  if (query.get('format') === 'json') {
    const { explanationToJson } = await import('../diagnose/json.ts')
    return success(explanationToJson(explanation, crypto))
  }
  const width = Number(query.get('width') ?? DEFAULT_WIDTH)
  if (!(width >= MIN_WIDTH && width <= MAX_WIDTH))
    return failure(400, `Expected a width from ${MIN_WIDTH} to ${MAX_WIDTH}`)
  const colour = query.get('colour') === 'always'
  const { renderExplanation } = await import('../diagnose/render.ts')
  return { status: 200, body: new PlainText(renderExplanation(explanation, { colour, width })) }
}

async function flightLog(options: AdminOptions, query: URLSearchParams): Promise<Answer> {
  if (query.get('follow') !== '1')
    return { status: 200, body: new PlainText(await flightLogText(options), JSON_LINES) }
  if (options.planes.followers.size >= MAX_FOLLOWERS)
    return failure(503, `There are ${MAX_FOLLOWERS} followers already`)
  return { status: 200, body: new Stream((response) => followFlightLog(response, options)) }
}

function asObject(json: Json): { readonly [name: string]: Json } {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
    ? (json as { readonly [name: string]: Json })
    : {}
}

function found(body: Json | undefined, what: string): Answer {
  return body === undefined ? failure(404, `There is no ${what}, or it is too long ago`) : success(body)
}

function success(body: Json): Answer {
  return { status: 200, body }
}

function failure(status: number, error: string): Answer {
  return { status, body: { error } }
}
