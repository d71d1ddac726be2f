import type { IncomingMessage } from 'node:http'
import type { Permit } from '../authz/decide.ts'
import type { Denial } from '../authz/decision.ts'
import type { HttpRequestHead } from '../authz/request.ts'
import type { InboundListener } from '../config/proxy-config.ts'
import { ConnectionDuplex } from '../net/duplex.ts'
import type { AccessEntry } from '../telemetry/access-log.ts'
import { AppAgent } from './app-agent.ts'
import { authorize, newlyDenied } from './authorize.ts'
import { ProxyError } from './errors.ts'
import { HttpFront, type Admission } from './http-front.ts'
import { CLIENT_CERTIFICATE_HEADER, clientCertificateHeader } from './http-headers.ts'
import type { VerifiedClient } from './inbound.ts'
import { distrust, proofEndMs, retirementMs } from './mutual-tls.ts'
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
    const decision = authorize(services, view, client, { http: head })
    this.#decisions.set(incoming, decision)
    if (decision.kind === 'denial') {
      const error = new ProxyError('PROXY_DENIED', decision.reason)
      return { kind: 'refused', id: decision.id, status: 403, error }
    }
    return {
      kind: 'admitted',
      id: decision.id,
      warrant: decision,
      route: {
        agent: this.#agent,
        reuseKey: '',
        dropHeaders: DROPPED_HEADERS,
        addHeaders: clientCertificateHeader(view.svid.id.toString(), client.principal),
      },
      judge: (newer) => newlyDenied(services, newer, client, { http: head }),
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
