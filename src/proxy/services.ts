import type { Transport } from '../net/transport.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { FlightLog } from '../telemetry/flight-log.ts'
import type { HandshakeLog } from '../telemetry/handshake-log.ts'
import type { Logger } from '../telemetry/log.ts'
import type { HandshakeSlots } from './handshake-slots.ts'
import type { LiveConnections } from './live-connections.ts'
import type { MetCertificates } from './met-certificates.ts'
import type { MeshViews } from './mesh-view.ts'
import type { TlsServices } from './mutual-tls.ts'
import type { SecureTransport } from './secure-transport.ts'
import type { CounterRow } from './threads/counters.ts'

/** What all listeners of a data-plane thread share. */
export interface ProxyServices {
  readonly transport: Transport
  readonly secure: SecureTransport
  readonly tls: TlsServices
  /** What handshakes have proven, for the controller to know. */
  readonly met: MetCertificates
  readonly handshakeTimeoutMs: number
  readonly handshakeSlots: HandshakeSlots
  /** To one listener, in this thread. */
  readonly maxConnections: number
  readonly counters: CounterRow
  readonly views: MeshViews
  readonly live: LiveConnections
  readonly handshakes: HandshakeLog
  readonly decisions: FlightLog
  readonly access: AccessLog
  readonly log: Logger
  /** A new id for what is told to a client without a decision. */
  readonly newId: () => string
}
