import type { GroupName } from '../crypto/provider.ts'
import type { Session } from '../tls/session.ts'
import type { Connection } from './transport.ts'

/** What a handshake has settled, whoever made it. */
export interface SecuredSession extends Pick<
  Session,
  'role' | 'version' | 'cipherSuite' | 'resumed' | 'alpn' | 'serverName' | 'peer'
> {
  /** OpenSSL tells clients only. */
  readonly group?: GroupName
}

/** A connection whose bytes travel inside TLS. Its clean end is close_notify; a bare TCP end is an error. */
export interface SecuredConnection extends Connection {
  readonly session: SecuredSession
}
