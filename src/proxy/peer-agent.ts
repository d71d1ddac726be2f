import type { OutboundListener } from '../config/proxy-config.ts'
import type { ConnectionDuplex } from '../net/duplex.ts'
import type { Connection } from '../net/transport.ts'
import type { SecuredSession } from '../net/secured.ts'
import { distrust, proofEndMs } from './mutual-tls.ts'
import { openPeer, type OpenedPeer } from './open-peer.ts'
import { ReusingAgent } from './reusing-agent.ts'
import type { ProxyServices } from './services.ts'

/** What a request learns of the connection it went over. */
export interface PeerConnection {
  readonly session: SecuredSession
  readonly handshake: number
}

/** Connections over mutual TLS to the one peer of an outbound listener: each is proven before a request sees it. */
export class PeerAgent extends ReusingAgent {
  readonly #brand = true
  readonly #services: ProxyServices
  readonly #listener: OutboundListener
  readonly #opened = new WeakMap<Connection, OpenedPeer>()
  readonly #connections = new WeakMap<object, PeerConnection>()

  constructor(services: ProxyServices, listener: OutboundListener) {
    super()
    this.#services = services
    this.#listener = listener
  }

  static is(value: unknown): value is PeerAgent {
    return typeof value === 'object' && value !== null && #brand in value && value.#brand
  }

  /** What is known of a stream of this agent. */
  connectionOf(stream: object | null | undefined): PeerConnection | undefined {
    return stream === null || stream === undefined ? undefined : this.#connections.get(stream)
  }

  protected override async open(): Promise<Connection> {
    const opened = await openPeer(this.#services, this.#listener)
    this.#opened.set(opened.proven.connection, opened)
    return opened.proven.connection
  }

  protected override opened(connection: Connection, stream: ConnectionDuplex): void {
    const { proven, view, handshake } = this.#opened.get(connection)!
    const { session } = proven.connection
    const { live, tls, views } = this.#services
    this.#connections.set(stream, { session, handshake })
    const ended = live.add(
      {
        expiresAtMs: proofEndMs({ session, view }),
        judge: (newer) => distrust(tls, { session, view }, newer),
        cut: (reason) => stream.destroy(reason),
        // Requests end by themselves; without any the connection is of no use to anyone.
        drain: () => this.retire(),
      },
      views.current,
    )
    stream.once('close', ended)
  }
}
