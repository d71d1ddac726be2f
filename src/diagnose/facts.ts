import type {
  CertificateDetails,
  ClientHelloDetails,
  MessageDetails,
  ServerHelloDetails,
} from '../tls/trace.ts'
import type { Fact, Side } from './explanation.ts'
import { printable } from './printable.ts'
import { durationText } from './time-text.ts'

/** The messages' names as RFC 8446 spells them. */
const MESSAGE_NAMES: Readonly<Record<string, string>> = {
  client_hello: 'ClientHello',
  server_hello: 'ServerHello',
  new_session_ticket: 'NewSessionTicket',
  end_of_early_data: 'EndOfEarlyData',
  encrypted_extensions: 'EncryptedExtensions',
  certificate: 'Certificate',
  certificate_request: 'CertificateRequest',
  compressed_certificate: 'CompressedCertificate',
  certificate_verify: 'CertificateVerify',
  finished: 'Finished',
  key_update: 'KeyUpdate',
  message_hash: 'message_hash',
}

/** A handshake message's name as RFC 8446 spells it. */
export function messageName(type: string): string {
  return MESSAGE_NAMES[type] ?? type
}

/** What a message says, line by line; certificates are shown apart. */
export function factsOf(details: MessageDetails, from: Side): Fact[] {
  switch (details.message) {
    case 'client_hello':
      return present([
        ['versions', meaningful(details.versions)],
        ['suites', meaningful(details.cipherSuites)],
        ['groups', meaningful(details.groups)],
        ['key share', meaningful(details.keyShares.map(shareText))],
        ['signatures', meaningful(details.signatureSchemes)],
        [
          'server name',
          details.serverName === undefined
            ? 'none asked for (no SNI)'
            : `${details.serverName} (SNI picks the certificate)`,
        ],
        ['ALPN', details.alpn],
        [
          'pre-shared',
          details.offeredPsks === undefined
            ? undefined
            : `${details.offeredPsks === 1 ? '1 key is' : `${details.offeredPsks} keys are`} offered, a ticket or given beforehand`,
        ],
        [
          'early data',
          details.extensions.includes('early_data')
            ? 'follows at once (0-RTT), if a server takes it'
            : undefined,
        ],
        [
          'GREASE',
          details.cipherSuites.some(isGrease)
            ? 'values that mean nothing, which peers must ignore'
            : undefined,
        ],
      ]).concat(clientLegacy(details.sessionIdBytes))
    case 'server_hello':
      return present([
        ['version', details.version],
        ['suite', details.cipherSuite],
        ['key share', details.keyShare === undefined ? undefined : shareText(details.keyShare)],
        [
          'asks for',
          details.retryGroup === undefined
            ? undefined
            : details.retryGroup === 'unchanged'
              ? 'another ClientHello, with a cookie: one round trip more'
              : `another ClientHello, with a share of ${details.retryGroup}: one round trip more`,
        ],
        [
          'cookie',
          details.cookieBytes === undefined
            ? undefined
            : `${details.cookieBytes} bytes, to bring back: the server need not remember`,
        ],
        [
          'pre-shared',
          details.selectedPsk === undefined
            ? undefined
            : `number ${details.selectedPsk + 1} of the keys that were offered is taken`,
        ],
      ]).concat(serverLegacy(details.sessionIdEchoed))
    case 'encrypted_extensions':
      return present([
        ['ALPN', details.alpn === undefined ? 'no protocol chosen' : `${details.alpn} (chosen)`],
        ['early data', details.extensions.includes('early_data') ? 'is taken' : undefined],
        ['server shows', typeText(details.serverCertificateType)],
        ['client shows', typeText(details.clientCertificateType)],
      ])
    case 'certificate_request':
      return present([
        ['asks for', 'a client certificate (mutual authentication)'],
        ['signatures', details.signatureSchemes],
        ['authorities', details.authorities],
      ])
    case 'certificate':
      return certificateFacts(details, from)
    case 'certificate_verify':
      return [
        { label: 'signature', value: printable(details.scheme) },
        { label: 'proves', value: 'that its sender holds the key, over this handshake and no other' },
      ]
    case 'finished':
      return [{ label: 'is a MAC of', value: 'every message so far, under a key of this handshake' }]
    case 'end_of_early_data':
      return [{ label: 'ends', value: 'what was sent early, before the server was known' }]
    case 'new_session_ticket':
      return present([
        ['allows', 'to resume this session later: it saves the proof, not the trust'],
        ['for', durationText(details.lifetimeSeconds * 1000)],
        [
          'early data',
          details.maxEarlyDataBytes === undefined
            ? undefined
            : `up to ${details.maxEarlyDataBytes} bytes then`,
        ],
      ])
    case 'key_update':
      return present([
        ['renews', 'the keys of this direction'],
        ['asks', details.updateRequested ? `the other side to renew its keys too` : undefined],
      ])
    case 'other':
      return []
  }
}

/** Why a HelloRetryRequest was needed, if it asks for a group. */
export function retryReason(
  { retryGroup }: ServerHelloDetails,
  hello: ClientHelloDetails | undefined,
): Fact[] {
  if (hello === undefined || retryGroup === undefined || retryGroup === 'unchanged') return []
  const shared = meaningful(hello.keyShares.map(({ group }) => group))
  return present([
    [
      'because',
      `the server wants ${retryGroup}, which the client knows and sent no share of; it guessed ${shared.length === 0 ? 'none' : shared.join(', ')}`,
    ],
  ])
}

function certificateFacts(
  { chain, rawPublicKey, stapled, compression }: CertificateDetails,
  from: Side,
): Fact[] {
  if (chain.length === 0 && rawPublicKey === undefined)
    return [{ label: 'certificate', value: `none: the ${from} has nothing to show` }]
  return present([
    [
      'raw public key',
      rawPublicKey === undefined
        ? undefined
        : `${rawPublicKey.kind ?? rawPublicKey.algorithm}, in the place of a certificate (RFC 7250)`,
    ],
    ['stapled', stapled],
    [
      'compressed',
      compression === undefined
        ? undefined
        : `with ${compression.algorithm}, from ${compression.restoredBytes} bytes (RFC 8879)`,
    ],
  ])
}

function typeText(type: string | undefined): string | undefined {
  return type === 'RawPublicKey' ? 'a raw public key (RFC 7250)' : type
}

/** Leaves out what is absent or empty, and makes the rest fit for a terminal. */
function present(
  rows: readonly (readonly [label: string, value: string | readonly string[] | undefined])[],
): Fact[] {
  const facts: Fact[] = []
  for (const [label, value] of rows) {
    if (value === undefined || value.length === 0) continue
    facts.push({ label, value: typeof value === 'string' ? printable(value) : value.map(printable) })
  }
  return facts
}

/** What is left without the reserved values of RFC 8701. */
function meaningful(names: readonly string[]): string[] {
  return names.filter((name) => !isGrease(name))
}

function isGrease(name: string): boolean {
  return name.startsWith('GREASE')
}

function shareText({ group, bytes }: { readonly group: string; readonly bytes: number }): string {
  return `${group} (${bytes} bytes, public)`
}

/** RFC 8446 §4.1.2 and appendix D.4. */
function clientLegacy(sessionIdBytes: number): Fact[] {
  const facts: Fact[] = [
    { label: 'legacy', value: 'legacy_version says TLS 1.2 and is ignored', legacy: true },
  ]
  if (sessionIdBytes > 0)
    facts.push({
      label: 'legacy',
      value: `session id of ${sessionIdBytes} bytes, names no session`,
      legacy: true,
    })
  return facts
}

/** RFC 8446 §4.1.3 and appendix D.4. */
function serverLegacy(sessionIdEchoed: boolean): Fact[] {
  const facts: Fact[] = [
    { label: 'legacy', value: 'legacy_version says TLS 1.2 and is ignored', legacy: true },
  ]
  if (sessionIdEchoed)
    facts.push({ label: 'legacy', value: 'session id echoed, resumes nothing', legacy: true })
  return facts
}
