/** From the settings of a test to the options of the engine. */
import { equalBytes } from '../../src/bytes/bytes.ts'
import type { GroupName } from '../../src/crypto/provider.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import type { VerifiedPeer } from '../../src/pki/verifier.ts'
import { TlsConnection } from '../../src/tls/connection.ts'
import type { ConnectionHandlers } from '../../src/tls/handlers.ts'
import { TlsError } from '../../src/tls/errors.ts'
import type {
  AnyCredential,
  ClientOptions,
  CredentialSource,
  EndpointOptions,
  PeerVerifier,
  ServerOptions,
} from '../../src/tls/options.ts'
import { NamedGroup, SIGNATURE_SCHEMES, type SignatureSchemeName } from '../../src/tls/registry.ts'
import type { ExternalPsk, ExternalPskLookup } from '../../src/tls/session/external-psk.ts'
import type { RemoteClientTickets, RemoteTicketStore } from '../../src/tls/session/resumption.ts'
import type { TicketPolicy } from '../../src/tls/session/ticketing.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import { readCredentials, readExternalPsks } from './credentials.ts'
import { checkVerifiedName, clientEch, serverEch } from './ech-flags.ts'
import { ownProofs, peerProofs } from './proofs.ts'
import { UnsupportedFlag, type Settings } from './flags.ts'
import { late } from './late.ts'
import type { Memory } from './memory.ts'

export interface Surroundings {
  readonly memory: Memory
  /** What the verifier goes by: it may change under way, when early data is declined. */
  readonly current: () => Settings
  readonly trace: (event: TraceEvent) => void
  readonly keyLog: (line: string) => void
}

/**
 * A connection as the settings want it.
 *
 * @throws UnsupportedFlag
 */
export function connect(
  settings: Settings,
  surroundings: Surroundings,
  handlers: ConnectionHandlers,
): TlsConnection {
  const credentials = readCredentials(settings, surroundings.memory.crypto)
  return settings.server
    ? TlsConnection.server(serverOptions(settings, surroundings, credentials), handlers)
    : TlsConnection.client(clientOptions(settings, surroundings, credentials), handlers)
}

function clientOptions(
  settings: Settings,
  surroundings: Surroundings,
  credentials: readonly AnyCredential[],
): ClientOptions {
  const { advertiseAlpn, hostName } = settings
  const psks = readExternalPsks(settings)
  return {
    ...endpointOptions(settings, surroundings),
    verifier: verifierOf(settings, surroundings),
    tickets: clientTickets(settings, surroundings.memory),
    acceptUnofferedAlpn: settings.allowUnknownAlpnProtos,
    grease: settings.enableGrease || settings.permuteExtensions,
    earlyData: settings.enableEarlyData,
    ...(advertiseAlpn === undefined ? {} : { alpn: protocolsOf(advertiseAlpn) }),
    ...(hostName === undefined ? {} : { serverName: hostName }),
    credential: chooser(settings, credentials),
    ...ownProofs(settings, credentials),
    ...(psks === undefined ? {} : { externalPsks: psks, orCertificate: settings.verifyPeer }),
    ...keySharesOf(settings),
    requestOcspResponse: settings.enableOcspStapling,
    requestCertificateTimestamps: settings.enableSignedCertTimestamps,
    ...clientEch(settings),
  }
}

/** A hint at what the server supports counts for more than shares named outright. */
function keySharesOf({ curves, keyShares, noKeyShares, serverSupportedGroupsHint }: Settings): {
  keyShares?: GroupName[]
} {
  const predicted = curves.find((code) => serverSupportedGroupsHint.includes(code))
  if (predicted !== undefined) return { keyShares: [groupNamed(predicted)] }
  if (noKeyShares) return { keyShares: [] }
  return keyShares.length === 0 ? {} : { keyShares: keyShares.map(groupNamed) }
}

/** What stands for the callbacks that choose a certificate, and for the one of servers that chooses an OCSP response. */
function chooser(
  { failCertCallback, failOcspCallback, server, async: isAsync }: Settings,
  credentials: readonly AnyCredential[],
): CredentialSource {
  const fails = failCertCallback || (failOcspCallback && server)
  if (!fails && !isAsync && credentials.length > 0) return credentials
  return () =>
    late(isAsync, () => {
      if (failCertCallback) throw new Error('The test wants the choice of a certificate to fail')
      if (fails) throw new Error('The test wants the choice of an OCSP response to fail')
      return credentials.length === 0 ? undefined : credentials
    })
}

function serverOptions(
  settings: Settings,
  surroundings: Surroundings,
  credentials: readonly AnyCredential[],
): ServerOptions {
  const { verifyPeer, requireAnyClientCertificate } = settings
  const psks = readExternalPsks(settings)
  const asksClients = verifyPeer || requireAnyClientCertificate
  return {
    ...endpointOptions(settings, surroundings),
    ...(psks === undefined ? {} : { externalPsks: settings.async ? lookUpIn(psks) : psks }),
    preferCertificate: settings.credentials[0]?.certFile !== undefined,
    acknowledgeServerName: !settings.noServerNameAck,
    ...(psks !== undefined && credentials.length === 0 ? {} : { credential: chooser(settings, credentials) }),
    alwaysSendChangeCipherSpec: true,
    equalGroups: equalGroups(settings),
    ...serverEch(settings, surroundings.memory.crypto),
    ...(settings.noTicket ? {} : { tickets: ticketPolicy(settings, surroundings.memory) }),
    ...(settings.enableEarlyData ? { earlyData: { maxBytes: MAX_EARLY_DATA_BYTES } } : {}),
    ...protocolsOfServer(settings),
    ...(asksClients
      ? { clientVerifier: verifierOf(settings, surroundings), allowAnonymousClient: verifyPeer }
      : {}),
  }
}

/** What the suite's own shim takes. */
const MAX_EARLY_DATA_BYTES = 14_336

/** The suite expects tickets to be good for their own suite only. */
function ticketPolicy({ skipTicket, async: isAsync }: Settings, { serverTickets }: Memory): TicketPolicy {
  const store: RemoteTicketStore = {
    isSingleUse: serverTickets.isSingleUse,
    issue: (state) => serverTickets.issue(state),
    redeem: (ticket, nowMs) => late(isAsync, () => serverTickets.redeem(ticket, nowMs)),
  }
  return { store, sameSuite: true, ...(skipTicket ? { count: 0 } : {}) }
}

function clientTickets({ async: isAsync }: Settings, { clientTickets: store }: Memory): RemoteClientTickets {
  return {
    put: (ticket) => store.put(ticket),
    take: (nowMs) => late(isAsync, () => store.take(nowMs)),
  }
}

/** As from a directory of keys. */
function lookUpIn(psks: readonly ExternalPsk[]): ExternalPskLookup {
  return (identity) => late(true, () => psks.filter((psk) => equalBytes(psk.identity, identity)))
}

/** The suite expects Ed25519 to be off until it is asked for. */
const DEFAULT_SCHEMES = SIGNATURE_SCHEMES.filter(
  ({ name, use }) => use === 'default' && name !== 'ed25519',
).map(({ name }) => name)

function endpointOptions(
  settings: Settings,
  { memory: { crypto, nowMs }, current, trace, keyLog }: Surroundings,
): EndpointOptions {
  const { curves, maxSendFragment, maxCertList } = settings
  const { rawPublicKeyVerifier, ...proofs } = peerProofs(settings, crypto, () => refusalOf(current()))
  const asks = !settings.server || settings.verifyPeer || settings.requireAnyClientCertificate
  return {
    ...proofs,
    ...(rawPublicKeyVerifier !== undefined && asks ? { rawPublicKeyVerifier } : {}),
    crypto,
    nowMs,
    trace,
    keyLog,
    // The suite expects limits in bytes only.
    maxCertificates: 1000,
    ...(maxSendFragment === undefined ? {} : { maxSentRecordBytes: maxSendFragment }),
    ...(maxCertList === undefined ? {} : { maxMessageBytes: maxCertList }),
    ...(curves.length === 0 ? {} : { groups: curves.map(groupNamed) }),
    signatureSchemes: verifiedSchemes(settings),
  }
}

/** The year 10889: as late as the 48 bits of a sealed ticket can tell. */
const NEVER_MS = 2 ** 48 - 1

/** Accepts whoever proves possession of a key: the suite tests the handshake, not the path. */
function verifierOf(
  { useClientCaList, hostName, async: isAsync }: Settings,
  { current }: Surroundings,
): PeerVerifier {
  return {
    ...(useClientCaList === undefined ? {} : { authorities: namesOf(useClientCaList) }),
    verify: (chain, { ocspResponse, signedCertificateTimestamps, serverName }) =>
      late(isAsync, () => {
        checkVerifiedName(current(), { expected: serverName, usual: hostName })
        const refusal = refusalOf(current())
        if (refusal !== undefined) throw refusal
        return {
          name: 'peer',
          expiresAtMs: NEVER_MS,
          path: chain,
          ocspResponse,
          signedCertificateTimestamps,
        } as StapledPeer
      }),
    reverify(_peer, { serverName }) {
      checkVerifiedName(current(), { expected: serverName, usual: hostName })
      if (current().reverifyOnResume && refusalOf(current()) !== undefined)
        throw new CertificateError('PKI_UNKNOWN_ISSUER', REFUSAL)
    },
  }
}

/** A verified peer, with what it brought beside its certificate. */
export interface StapledPeer extends VerifiedPeer {
  readonly ocspResponse?: Uint8Array
  readonly signedCertificateTimestamps?: Uint8Array
}

const REFUSAL = 'The test wants every certificate refused'

/** What the verifier is to throw, if anything. */
export function refusalOf(settings: Settings): TlsError | undefined {
  const { verifyFail, verifyPeer, server, useCustomVerifyCallback } = settings
  if (settings.failOcspCallback && !server) {
    const alert = 'bad_certificate_status_response'
    return new TlsError('TLS_CERTIFICATE_REJECTED', 'The test wants every OCSP response refused', { alert })
  }
  // A client that is not told to verify notes a failure and goes on.
  if (!verifyFail || !(verifyPeer || server)) return undefined
  // The two callbacks of BoringSSL have different alerts.
  const alert = useCustomVerifyCallback ? 'certificate_unknown' : 'handshake_failure'
  return new TlsError('TLS_CERTIFICATE_REJECTED', REFUSAL, { alert })
}

const EQUAL_TO_NEXT = 1

function equalGroups({ curves, curvesFlags }: Settings): GroupName[] {
  const isEqual = (index: number): boolean => curvesFlags[index] === EQUAL_TO_NEXT
  return curves.filter((_, index) => isEqual(index) || isEqual(index - 1)).map(groupNamed)
}

/** A protocol that no client of the suite offers: every offer is refused. */
const UNSPOKEN = 'unspoken'

/** What stands for the callback that chooses a protocol; what it need not choose is a list. */
function protocolsOfServer(settings: Settings): Pick<ServerOptions, 'alpn' | 'chooseAlpn'> {
  const { selectAlpn = '', selectEmptyAlpn, rejectAlpn, async: isAsync } = settings
  if (rejectAlpn) return { alpn: [UNSPOKEN] }
  if (selectAlpn === '' && !selectEmptyAlpn) return {}
  return isAsync || selectEmptyAlpn
    ? { chooseAlpn: () => late(isAsync, () => selectAlpn) }
    : { alpn: [selectAlpn] }
}

/** Distinguished names in hexadecimal, with commas between. */
export function namesOf(list: string): Uint8Array[] {
  return list.startsWith('<') ? [] : list.split(',').map((name) => Uint8Array.fromHex(name))
}

/** Names behind their lengths, as they stand in the extension. */
function protocolsOf(list: string): string[] {
  const protocols: string[] = []
  for (let rest = list; rest !== '';) {
    const end = 1 + rest.charCodeAt(0)
    protocols.push(rest.slice(1, end))
    rest = rest.slice(end)
  }
  return protocols
}

function groupNamed(code: number): GroupName {
  const entry = Object.entries(NamedGroup).find(([, candidate]) => candidate === code)
  if (entry === undefined) throw new UnsupportedFlag(`-curves ${code}`)
  return entry[0] as GroupName
}

/** Those of the schemes that the engine verifies; where it verifies none, it offers what it does and must refuse them. */
function verifiedSchemes({ verifyPrefs, server }: Settings): SignatureSchemeName[] {
  const verifiable = SIGNATURE_SCHEMES.filter(({ use }) => server || use !== 'legacy')
  const known = verifyPrefs.flatMap((code) =>
    verifiable.filter((scheme) => scheme.code === code).map(({ name }) => name),
  )
  return known.length === 0 ? DEFAULT_SCHEMES : known
}
