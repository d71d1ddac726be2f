import type { HandfastError } from '../errors.ts'
import type {
  CertificateDetails,
  ClientHelloDetails,
  EncryptedExtensionsDetails,
  ServerHelloDetails,
  TraceEvent,
} from '../tls/trace.ts'
import type { EarlyDataOutcome } from '../tls/session/early-data.ts'
import type { Side } from './explanation.ts'
import { speakerOf } from './steps.ts'

type Found = { -readonly [Key in keyof Findings]: Findings[Key] }

/** What a trace holds, by name; absent is what did not happen. */
export interface Findings {
  readonly perspective: Side
  readonly startedAtMs: number
  /** As everybody can read it. */
  readonly clientHello?: ClientHelloDetails
  /** The one inside, if it came encrypted. */
  readonly innerHello?: ClientHelloDetails
  readonly ech?: Extract<TraceEvent, { kind: 'ech' }>['outcome']
  readonly serverHello?: ServerHelloDetails
  readonly retry?: ServerHelloDetails
  /** The last ticket of which there is something to tell. */
  readonly ticket?: Extract<TraceEvent, { kind: 'ticket' }>
  /** Whether a ClientHello says, for all to read, that early data follows. */
  readonly announcesEarlyData: boolean
  readonly earlyData?: EarlyDataOutcome
  readonly earlyBytes: number
  readonly keyUpdates: { readonly client: number; readonly server: number }
  readonly encryptedExtensions?: EncryptedExtensionsDetails
  readonly certificateRequested: boolean
  readonly clientCertificate?: CertificateDetails
  readonly serverCertificate?: CertificateDetails
  readonly agreed?: Extract<TraceEvent, { kind: 'agreed' }>
  readonly handshakeKeys: boolean
  readonly identity?: Extract<TraceEvent, { kind: 'identity' }>
  readonly possession?: Extract<TraceEvent, { kind: 'possession' }>
  readonly transcript: boolean
  readonly established?: Extract<TraceEvent, { kind: 'established' }>
  readonly failed?: { readonly error: HandfastError; readonly atMs: number }
}

/**
 * Reads a trace once, for everything that asks what happened rather than when.
 *
 * @param ended what ended the connection, where the engine did not see it
 */
export function findingsOf(
  events: readonly TraceEvent[],
  perspective: Side,
  ended: HandfastError | undefined,
): Findings {
  const found: Found = {
    perspective,
    startedAtMs: events[0]?.atMs ?? 0,
    certificateRequested: false,
    handshakeKeys: false,
    announcesEarlyData: false,
    earlyBytes: 0,
    keyUpdates: { client: 0, server: 0 },
    transcript: false,
  }
  for (const event of events) read(found, event)
  if (ended !== undefined) found.failed ??= { error: ended, atMs: events.at(-1)?.atMs ?? 0 }
  return found
}

/** The hello that both sides went by. */
export function countedHello({ ech, innerHello, clientHello }: Findings): ClientHelloDetails | undefined {
  return ech === 'accepted' ? innerHello : clientHello
}

function read(found: Found, event: TraceEvent): void {
  switch (event.kind) {
    case 'message':
      readMessage(found, event)
      break
    case 'inner_hello':
      found.innerHello = event.details
      break
    case 'ech':
      found.ech = event.outcome
      break
    case 'ticket':
      readTicket(found, event)
      break
    case 'early_data':
      found.earlyData = event.outcome
      break
    case 'early_bytes':
      found.earlyBytes = event.bytes
      break
    case 'keys':
      found.handshakeKeys = true
      break
    case 'transcript':
      found.transcript = true
      break
    case 'agreed':
      found.agreed = event
      break
    case 'identity':
      found.identity = event
      break
    case 'possession':
      found.possession = event
      break
    case 'established':
      found.established = event
      break
    case 'failed':
      found.failed ??= event
      break
    case 'alert':
    case 'change_cipher_spec':
    case 'closed':
      break
  }
}

/** What was accepted says when the ticket was made, what was refused does not. */
function readTicket(found: Found, event: Extract<TraceEvent, { kind: 'ticket' }>): void {
  // A ticket that is taken counts, whatever else was offered beside it.
  if (found.ticket?.outcome !== 'accepted') found.ticket = event
}

function readMessage(found: Found, event: Extract<TraceEvent, { kind: 'message' }>): void {
  const { details } = event
  switch (details.message) {
    case 'client_hello':
      found.clientHello = details
      found.announcesEarlyData ||= details.extensions.includes('early_data')
      break
    case 'server_hello':
      if (details.retryGroup === undefined) found.serverHello = details
      else found.retry = details
      break
    case 'encrypted_extensions':
      found.encryptedExtensions = details
      break
    case 'certificate_request':
      found.certificateRequested = true
      break
    case 'certificate':
      if (speakerOf(event.direction, found.perspective) === 'client') found.clientCertificate = details
      else found.serverCertificate = details
      break
    case 'key_update': {
      const side = speakerOf(event.direction, found.perspective)
      found.keyUpdates = { ...found.keyUpdates, [side]: found.keyUpdates[side] + 1 }
      break
    }
    case 'certificate_verify':
    case 'finished':
    case 'end_of_early_data':
    case 'new_session_ticket':
    case 'other':
      break
  }
}
