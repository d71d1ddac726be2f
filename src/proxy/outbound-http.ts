import type { OutboundListener } from '../config/proxy-config.ts'
import type { ConnectionDuplex } from '../net/duplex.ts'
import type { AccessEntry } from '../telemetry/access-log.ts'
import { ProxyError } from './errors.ts'
import { HttpFront, type Admission } from './http-front.ts'
import { PeerAgent } from './peer-agent.ts'
import type { ProxyServices } from './services.ts'

/** Carries each request of the application over a proven connection to the peer. */
export class HttpOutbound {
  readonly #services: ProxyServices
  readonly #listener: OutboundListener
  readonly #port: () => number
  readonly #front: HttpFront
  readonly #agent: PeerAgent

  constructor(services: ProxyServices, listener: OutboundListener, port: () => number) {
    this.#services = services
    this.#listener = listener
    this.#port = port
    this.#agent = new PeerAgent(services, listener)
    const { access, live, log, views } = services
    this.#front = new HttpFront({
      gate: {
        admit: () => this.#admit(),
        describe: (_incoming, _admission, stream) => this.#describe(stream),
      },
      live,
      onAccess: (entry) => access.write(entry),
      onBadRequest: (error) =>
        log.warn('The application sent no valid HTTP', { listener: listener.name, error }),
    })
    // New requests go over connections of the new identity; what is under way goes on.
    views.onChange(({ identityVersion }) => this.#agent.retire(String(identityVersion)))
  }

  serve(stream: ConnectionDuplex): void {
    const ended = this.#services.live.add({
      expiresAtMs: Infinity,
      judge: () => undefined,
      cut: (reason) => stream.destroy(reason),
      drain: () => {
        this.#front.drain(stream)
        this.#agent.retire()
      },
    })
    stream.once('close', ended)
    this.#front.serve(stream)
  }

  #admit(): Admission {
    const { views, tls, newId } = this.#services
    const view = views.usable(tls.nowMs())
    if (view === undefined) {
      const error = new ProxyError('PROXY_NOT_READY', 'There is no valid identity or no policy')
      return { kind: 'refused', id: newId(), status: 503, error }
    }
    return {
      kind: 'admitted',
      id: newId(),
      warrant: this.#agent,
      route: {
        agent: this.#agent,
        reuseKey: String(view.identityVersion),
        dropHeaders: [],
        addHeaders: [],
      },
      judge: () => undefined,
    }
  }

  #describe(stream: object | undefined): Omit<AccessEntry, 'requestBytes' | 'responseBytes' | 'durationMs'> {
    const { views } = this.#services
    const peer = this.#agent.connectionOf(stream)
    const self = views.current?.svid.id.toString()
    return {
      direction: 'outbound',
      listener: this.#listener.name,
      protocol: 'http',
      port: this.#port(),
      ...(self !== undefined && { self }),
      ...(peer && {
        connection: peer.handshake,
        peer: peer.session.peer?.name ?? '',
        session: peer.session,
      }),
    }
  }
}
