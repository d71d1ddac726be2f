/** How tickets come about after a handshake, on both sides (RFC 8446 §4.6.1). */
import { Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import type { Established } from '../handshake.ts'
import { ticketPreSharedKey } from '../key-schedule.ts'
import { Extensions } from '../messages/extensions.ts'
import { maxEarlyDataOf, type NewSessionTicket } from '../messages/post-handshake.ts'
import { greaseCode } from '../registry.ts'
import { MAX_TICKET_LIFETIME_SECONDS, type ClientTicket, type RemoteTicketStore } from './resumption.ts'

/** What a server hands out after each handshake. */
export interface TicketPolicy {
  readonly store: RemoteTicketStore
  /** Tickets after each full handshake; a resumed one has used one, and gets one. @default 2 */
  readonly count?: number
  /** At most seven days, and never longer than the client's certificate. @default one hour */
  readonly lifetimeSeconds?: number
  /**
   * Whether a ticket is good only for the suite of its connection, so that nobody goes on under a shorter key; else
   * any with the same hash will do (RFC 8446 §4.2.11). @default false
   */
  readonly sameSuite?: boolean
}

const DEFAULT_COUNT = 2
const DEFAULT_LIFETIME_SECONDS = 3600

interface Issuing {
  readonly crypto: CryptoProvider
  readonly nowMs: number
  readonly policy: TicketPolicy
  readonly maxEarlyDataBytes: number
  /** Whether each ticket carries an extension that means nothing (RFC 8701 §4.1). */
  readonly grease: boolean
}

/** The tickets that a server sends after a handshake; none when the client's certificate has no time left. */
export function issueTickets(
  { session, suite, resumptionSecret, externalPskTag }: Established,
  { crypto, nowMs, policy, maxEarlyDataBytes, grease }: Issuing,
): NewSessionTicket[] {
  const { store, count = DEFAULT_COUNT, lifetimeSeconds = DEFAULT_LIFETIME_SECONDS } = policy
  const wanted = Math.min(lifetimeSeconds, MAX_TICKET_LIFETIME_SECONDS)
  const left = session.peer === undefined ? Infinity : Math.floor((session.peer.expiresAtMs - nowMs) / 1000)
  const seconds = Math.min(wanted, left)
  if (seconds <= 0) return []
  const earlyBytes = store.isSingleUse ? maxEarlyDataBytes : 0
  const tickets: NewSessionTicket[] = []
  const wantedCount = session.resumed ? Math.min(count, 1) : count
  for (let index = 0; index < wantedCount; index++) {
    // Tickets of one connection differ by it (RFC 8446 §4.6.1); it need not be secret, so it counts them.
    const nonce = Uint8Array.of(index >>> 8, index)
    const ageAdd = new Reader(crypto.random(4)).uint32('ticket_age_add')
    const ticket = store.issue({
      ...resumable(session),
      ...(externalPskTag === undefined ? {} : { externalPskTag }),
      preSharedKey: ticketPreSharedKey(crypto, suite.hash, resumptionSecret, nonce),
      ageAdd,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + seconds * 1000,
      maxEarlyDataBytes: earlyBytes,
    })
    const extensions = new Extensions('new_session_ticket')
    if (grease) extensions.addUnknown(greaseCode(crypto.random(1)[0]! >>> 4), new Uint8Array(0))
    if (earlyBytes > 0) extensions.add('early_data', new Writer(4).uint32(earlyBytes).finish())
    tickets.push({ lifetimeSeconds: seconds, ageAdd, nonce, ticket, extensions })
  }
  return tickets
}

/** What a client keeps of a ticket; undefined for one that must not be kept. */
export function keepTicket(
  { session, suite, resumptionSecret, externalPskTag }: Established,
  { lifetimeSeconds, ageAdd, nonce, ticket, extensions }: NewSessionTicket,
  { crypto, nowMs }: { readonly crypto: CryptoProvider; readonly nowMs: number },
): ClientTicket | undefined {
  const { peer, externalPsk } = session
  if (lifetimeSeconds === 0 || (peer === undefined && externalPsk === undefined)) return undefined
  const seconds = Math.min(lifetimeSeconds, MAX_TICKET_LIFETIME_SECONDS)
  return {
    ...resumable(session),
    ...(externalPskTag === undefined ? {} : { externalPskTag }),
    ticket,
    preSharedKey: ticketPreSharedKey(crypto, suite.hash, resumptionSecret, nonce),
    ageAdd,
    receivedAtMs: nowMs,
    expiresAtMs: Math.min(nowMs + seconds * 1000, peer?.expiresAtMs ?? Infinity),
    maxEarlyDataBytes: maxEarlyDataOf(extensions),
  }
}

type Resumable = Pick<
  ClientTicket,
  | 'cipherSuite'
  | 'serverName'
  | 'alpn'
  | 'peer'
  | 'peerSignatureScheme'
  | 'serverCertificateType'
  | 'externalPsk'
>

function resumable({
  cipherSuite,
  serverName,
  alpn,
  peer,
  peerSignatureScheme,
  serverCertificateType,
  externalPsk,
}: Established['session']): Resumable {
  return {
    cipherSuite,
    ...(serverName === undefined ? {} : { serverName }),
    ...(alpn === undefined ? {} : { alpn }),
    ...(peer === undefined ? {} : { peer }),
    ...(peerSignatureScheme === undefined ? {} : { peerSignatureScheme }),
    ...(serverCertificateType === undefined ? {} : { serverCertificateType }),
    ...(externalPsk === undefined ? {} : { externalPsk }),
  }
}
