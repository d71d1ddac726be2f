/** What a test expects of a handshake that succeeds. */
import { equalBytes } from '../../src/bytes/bytes.ts'
import { DistinguishedName } from '../../src/pki/distinguished-name.ts'
import { CertificateType, CipherSuite, NamedGroup, nameOf, SignatureScheme } from '../../src/tls/registry.ts'
import type { ClientTicket } from '../../src/tls/session/resumption.ts'
import type { Session } from '../../src/tls/session.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import { readChain, readExternalPsks, type NumberedCredential } from './credentials.ts'
import { namesOf, type StapledPeer } from './endpoint.ts'
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
  // The machines that tests run on have AES in hardware.
  const cipher = expectCipher ?? settings.expectCipherAes
  if (cipher !== undefined) check('the cipher suite', CipherSuite[session.cipherSuite], cipher)
  if (settings.expectPeerCertificateType !== undefined) {
    const type =
      session.peer?.rawPublicKey === undefined ? CertificateType.X509 : CertificateType.RawPublicKey
    check("the type of the peer's certificate", type, settings.expectPeerCertificateType)
  }
  if (expectCurveId !== undefined) check('the group', NamedGroup[session.group], expectCurveId)
  if (expectPeerSignatureAlgorithm !== undefined) {
    const code = peerSignatureScheme === undefined ? undefined : SignatureScheme[peerSignatureScheme]
    check("the peer's signature scheme", code, expectPeerSignatureAlgorithm)
  }
  if (settings.expectServerName !== undefined)
    check('the server name', session.serverName, settings.expectServerName)
  if (settings.expectVersion !== undefined) check('the version', 0x0304, settings.expectVersion)
  if (settings.requireAnyClientCertificate || !settings.server)
    check('whether the peer is known', (session.peer ?? session.externalPsk) !== undefined, true)
  if (settings.expectNoPeerCert) check('whether the peer is known by name', session.peer !== undefined, false)
  if (expectPeerCertFile !== undefined) {
    const expected = readChain(expectPeerCertFile)
    const path = session.peer?.path ?? []
    const same =
      path.length === expected.length && path.every(({ der }, i) => equalBytes(der, expected[i]!.der))
    check("whether the peer's chain is the one expected", same, true)
  }
  check('whether it resumed', session.resumed, isResumption && !settings.expectSessionMiss)
  checkEarlyData(settings, session, isResumption)
  checkEvidence(settings, session)
  checkRetry(settings, events)
  checkAdvertisedProtocols(settings, events)
  checkPeerPreferences(settings, events)
  checkOffer(settings, events)
}

function checkOffer({ expectNoOfferEarlyData }: Settings, events: readonly TraceEvent[]): void {
  if (!expectNoOfferEarlyData) return
  for (const event of events) {
    if (event.kind !== 'message' || event.details.message !== 'client_hello') continue
    check('whether early data was offered', event.details.extensions.includes('early_data'), false)
  }
}

/** What the peer says of the proof it wants of us. */
function checkPeerPreferences(
  { expectPeerVerifyPref, expectClientCaList }: Settings,
  events: readonly TraceEvent[],
): void {
  for (const event of events) {
    if (event.kind !== 'message' || event.direction !== 'received') continue
    const { details } = event
    if (details.message !== 'client_hello' && details.message !== 'certificate_request') continue
    if (expectPeerVerifyPref.length > 0) {
      const expected = expectPeerVerifyPref.map((code) => nameOf(SignatureScheme, code))
      check("the peer's signature schemes", details.signatureSchemes.join(), expected.join())
    }
    if (expectClientCaList !== undefined && details.message === 'certificate_request') {
      const expected = namesOf(expectClientCaList).map((der) => DistinguishedName.parse(der).text)
      check("the peer's authorities", details.authorities.join('; '), expected.join('; '))
    }
  }
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
  if (shimShutsDown) return
  const expected = !expectNoSession
  check('whether a ticket came', ticket !== undefined, expected)
  if (ticket === undefined) return
  check('whether it takes early data', ticket.maxEarlyDataBytes > 0, expectTicketSupportsEarlyData)
}

function checkEvidence(settings: Settings, { peer, credential, externalPsk }: Session): void {
  const { expectOcspResponse, expectSignedCertTimestamps, expectSelectedCredential } = settings
  const stapled: StapledPeer | undefined = peer
  if (expectOcspResponse !== undefined)
    check('the OCSP response', stapled?.ocspResponse?.toBase64(), expectOcspResponse)
  if (expectSignedCertTimestamps !== undefined)
    check('the SCT list', stapled?.signedCertificateTimestamps?.toBase64(), expectSignedCertTimestamps)
  if (expectSelectedCredential !== undefined)
    check(
      'the credential shown',
      externalPsk === undefined
        ? ((credential as NumberedCredential | undefined)?.number ?? -1)
        : readExternalPsks(settings)?.find(({ identity }) => equalBytes(identity, externalPsk))?.number,
      expectSelectedCredential,
    )
}

function checkEarlyData(
  settings: Settings,
  { earlyData, ticketAgeSkewMs }: Session,
  isResumption: boolean,
): void {
  const { expectEarlyDataReason, expectTicketAgeSkew } = settings
  if (settings.expectAcceptEarlyData) check('what became of early data', earlyData, 'accepted')
  if (settings.expectRejectEarlyData) check('whether early data was taken', earlyData === 'accepted', false)
  if (expectEarlyDataReason !== undefined) {
    const reason = earlyData === 'accepted' ? 'accept' : earlyData
    check('what became of early data', reason, expectEarlyDataReason)
  }
  if (expectTicketAgeSkew !== undefined && isResumption)
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
