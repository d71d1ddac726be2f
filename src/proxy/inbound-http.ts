import type { IncomingMessage } from 'node:http'
import type { Permit } from '../authz/decide.ts'
import type { Denial } from '../authz/decision.ts'
import type { HttpRequestHead } from '../authz/request.ts'
import type { InboundListener } from '../config/proxy-config.ts'
import { ConnectionDuplex } from '../net/duplex.ts'
import type { AccessEntry } from '../telemetry/access-log.ts'
import { AppAgent } from './app-agent.ts'
import { authorize, type Call, newlyDenied, refuseToken } from './authorize.ts'
import { ProxyError } from './errors.ts'
import { HttpFront, type Admission } from './http-front.ts'
import { CLIENT_CERTIFICATE_HEADER, clientCertificateHeader } from './http-headers.ts'
import type { VerifiedClient } from './inbound.ts'
import { distrust, proofEndMs, retirementMs } from './mutual-tls.ts'
import type { MeshView } from './mesh-view.ts'
import type { RequestProof } from './request-authenticator.ts'
import { cookieWithout } from './request-tokens.ts'
import type { ProxyServices } from './services.ts'

const DROPPED_HEADERS = [CLIENT_CERTIFICATE_HEADER.toLowerCase()]

/** Judges each request of verified clients, and carries what policy permits to the application. */
export class HttpInbound {
  readonly #services: ProxyServices
  readonly #listener: InboundListener
  readonly #front: HttpFront
  readonly #agent: AppAgent
  readonly #clients = new WeakMap<object, VerifiedClient>()
  readonly #decisions = new WeakMap<IncomingMessage, Permit | Denial>()

  constructor(services: ProxyServices, listener: InboundListener) {
    this.#services = services
    this.#listener = listener
    this.#agent = new AppAgent(services.transport, listener.forward)
    const { access, live, log } = services
    this.#front = new HttpFront({
      gate: {
        admit: (incoming) => this.#admit(incoming),
        describe: (incoming) => this.#describe(incoming),
      },
      live,
      onAccess: (entry) => access.write(entry),
      onBadRequest: (error, stream) =>
        log.warn('A client sent no valid HTTP', {
          listener: listener.name,
          peer: this.#clients.get(stream)?.principal,
          error,
        }),
    })
  }

  serve(client: VerifiedClient): void {
    const { live, tls, views } = this.#services
    const { connection, view } = client
    const { session } = connection
    const stream = new ConnectionDuplex(connection)
    this.#clients.set(stream, client)
    const ended = live.add(
      {
        expiresAtMs: proofEndMs({ session, view }),
        retirement: {
          atMs: retirementMs({ session, view }, tls.nowMs()),
          begin: () => this.#front.retire(stream),
        },
        judge: (newer) => distrust(tls, { session, view }, newer),
        cut: (reason) => stream.destroy(reason),
        drain: () => {
          this.#front.drain(stream)
          this.#agent.retire()
        },
      },
      views.current,
    )
    stream.once('close', ended)
    this.#front.serve(stream)
  }

  #admit(incoming: IncomingMessage): Admission {
    const services = this.#services
    const client = this.#clients.get(incoming.socket)!
    const view = services.views.usable(services.tls.nowMs())
    if (view === undefined) {
      const error = new ProxyError('PROXY_NOT_READY', 'Our own certificate has expired')
      return { kind: 'refused', id: services.newId(), status: 503, error }
    }
    const head: HttpRequestHead = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      ...(incoming.headers.host !== undefined && { host: incoming.headers.host }),
      headers: incoming.headersDistinct,
    }
    const proof = prove(view, incoming, services.tls.nowMs())
    if (proof.kind === 'refused') {
      const decision = refuseToken(services, view, client, { http: head, error: proof.error })
      this.#decisions.set(incoming, decision)
      const error = new ProxyError('PROXY_TOKEN_REFUSED', decision.reason, { cause: proof.error })
      return { kind: 'refused', id: decision.id, status: 401, error }
    }
    const decision = authorize(services, view, client, callOf(head, proof))
    this.#decisions.set(incoming, decision)
    if (decision.kind === 'denial') {
      const error = new ProxyError('PROXY_DENIED', decision.reason)
      return { kind: 'refused', id: decision.id, status: 403, error }
    }
    const token = withoutToken(incoming, proof)
    return {
      kind: 'admitted',
      id: decision.id,
      warrant: decision,
      route: {
        agent: this.#agent,
        reuseKey: '',
        dropHeaders: [...DROPPED_HEADERS, ...token.drop],
        addHeaders: [...clientCertificateHeader(view.svid.id.toString(), client.principal), ...token.add],
      },
      judge: (newer) => {
        // A token that was verified by what is no longer so is verified anew.
        const again =
          newer.authenticator === view.authenticator ? proof : prove(newer, incoming, services.tls.nowMs())
        if (again.kind === 'refused')
          return new ProxyError('PROXY_NO_LONGER_ALLOWED', again.error.message, { cause: again.error })
        return newlyDenied(services, newer, client, callOf(head, again))
      },
    }
  }

  #describe(incoming: IncomingMessage): Omit<AccessEntry, 'requestBytes' | 'responseBytes' | 'durationMs'> {
    const { principal, port, handshake, connection, view } = this.#clients.get(incoming.socket)!
    const decision = this.#decisions.get(incoming)
    return {
      direction: 'inbound',
      listener: this.#listener.name,
      protocol: 'http',
      connection: handshake,
      peer: principal,
      self: view.svid.id.toString(),
      port,
      session: connection.session,
      ...(decision !== undefined && { decision }),
    }
  }
}

/** What the token of a request proves under a view. */
function prove({ authenticator }: MeshView, incoming: IncomingMessage, nowMs: number): RequestProof {
  return authenticator?.prove(incoming, nowMs) ?? { kind: 'none' }
}

function callOf(http: HttpRequestHead, proof: Exclude<RequestProof, { kind: 'refused' }>): Call {
  return { http, ...(proof.kind === 'token' && { token: proof.token }) }
}

/** Which headers keep a token from the application that is not to see it. */
function withoutToken(
  incoming: IncomingMessage,
  proof: RequestProof,
): { readonly drop: readonly string[]; readonly add: readonly string[] } {
  if (proof.kind !== 'token' || proof.isForwarded) return { drop: [], add: [] }
  const { header: headers = [], cookie: cookies = [] } = Object.groupBy(
    proof.carried,
    ({ place }) => place.kind,
  )
  const drop = headers.map(({ place }) => place.name)
  if (cookies.length === 0) return { drop, add: [] }
  const left = cookieWithout(cookies, incoming)
  return { drop: [...drop, 'cookie'], add: left === undefined ? [] : ['Cookie', left] }
}
