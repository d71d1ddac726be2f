/** What a test expects of a handshake that succeeds. */
import { equalBytes } from '../../src/bytes/bytes.ts'
import { CipherSuite, NamedGroup, SignatureScheme } from '../../src/tls/registry.ts'
import type { ClientTicket } from '../../src/tls/session/resumption.ts'
import type { Session } from '../../src/tls/session.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import { readChain } from './credentials.ts'
import type { Settings } from './flags.ts'

/** The suite expects something else of a connection than it turned out to be. */
export class UnmetExpectation extends Error {}

/** Which connection of its test it is, and what was seen on it. */
export interface Circumstances {
  readonly isResumption: boolean
  readonly events: readonly TraceEvent[]
}

/** @throws UnmetExpectation */
export function checkSession(
  settings: Settings,
  session: Session,
  { isResumption, events }: Circumstances,
): void {
  const { expectCipher, expectCurveId, expectPeerSignatureAlgorithm, expectPeerCertFile } = settings
  const alpn = settings.server ? settings.selectAlpn : settings.expectAlpn
  check('the application protocol', session.alpn ?? '', alpn ?? '')
  const { peerSignatureScheme } = session
  if (expectCipher !== undefined) check('the cipher suite', CipherSuite[session.cipherSuite], expectCipher)
  if (expectCurveId !== undefined) check('the group', NamedGroup[session.group], expectCurveId)
  if (expectPeerSignatureAlgorithm !== undefined) {
    const code = peerSignatureScheme === undefined ? undefined : SignatureScheme[peerSignatureScheme]
    check("the peer's signature scheme", code, expectPeerSignatureAlgorithm)
  }
  if (settings.expectServerName !== undefined)
    check('the server name', session.serverName, settings.expectServerName)
  if (settings.expectVersion !== undefined) check('the version', 0x0304, settings.expectVersion)
  if (settings.requireAnyClientCertificate || !settings.server)
    check('whether the peer is known', session.peer !== undefined, true)
  if (expectPeerCertFile !== undefined) {
    const expected = readChain(expectPeerCertFile)
    const path = session.peer?.path ?? []
    const same =
      path.length === expected.length && path.every(({ der }, i) => equalBytes(der, expected[i]!.der))
    check("whether the peer's chain is the one expected", same, true)
  }
  check('whether it resumed', session.resumed, isResumption && !settings.expectSessionMiss)
  checkEarlyData(settings, session)
  checkRetry(settings, events)
  checkAdvertisedProtocols(settings, events)
}

function checkAdvertisedProtocols({ expectAdvertisedAlpn }: Settings, events: readonly TraceEvent[]): void {
  if (expectAdvertisedAlpn === undefined) return
  for (const event of events) {
    if (event.kind !== 'message' || event.details.message !== 'client_hello') continue
    const offered = event.details.alpn ?? []
    const encoded = offered.map((name) => String.fromCharCode(name.length) + name).join('')
    check('the list of protocols offered', encoded, expectAdvertisedAlpn)
  }
}

/** What a client must have when it closes. @throws UnmetExpectation */
export function checkTicket(settings: Settings, ticket: ClientTicket | undefined): void {
  const { expectNoSession, shimShutsDown, expectTicketSupportsEarlyData } = settings
  const expected = !expectNoSession && !shimShutsDown
  check('whether a ticket came', ticket !== undefined, expected)
  if (ticket === undefined) return
  check('whether it takes early data', ticket.maxEarlyDataBytes > 0, expectTicketSupportsEarlyData)
}

function checkEarlyData(settings: Settings, { earlyData, ticketAgeSkewMs }: Session): void {
  const { expectEarlyDataReason, expectTicketAgeSkew } = settings
  if (settings.expectAcceptEarlyData) check('what became of early data', earlyData, 'accepted')
  if (settings.expectRejectEarlyData) check('whether early data was taken', earlyData === 'accepted', false)
  if (expectEarlyDataReason !== undefined) {
    const reason = earlyData === 'accepted' ? 'accept' : earlyData
    check('what became of early data', reason, expectEarlyDataReason)
  }
  if (expectTicketAgeSkew !== undefined)
    check('the skew of the ticket', Math.trunc((ticketAgeSkewMs ?? 0) / 1000), expectTicketAgeSkew)
}

function checkRetry({ expectHrr, expectNoHrr }: Settings, events: readonly TraceEvent[]): void {
  const retried = events.some(
    (event) =>
      event.kind === 'message' &&
      event.details.message === 'server_hello' &&
      event.details.retryGroup !== undefined,
  )
  if (expectHrr) check('whether a HelloRetryRequest came', retried, true)
  if (expectNoHrr) check('whether a HelloRetryRequest came', retried, false)
}

function check(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected)
    throw new UnmetExpectation(`${what} is ${String(actual)}, expected ${String(expected)}`)
}
