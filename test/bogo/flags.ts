/** The suite's command line: one table of the flags we implement, and the phases that a prefix may bind them to. */

import { ECH_TEXT_LISTS, ECH_TEXTS, ECH_TOGGLES, type EchSettings } from './ech-flags.ts'

/** A flag that we do not know, or a value that we cannot honour: the test is to be skipped, not failed. */
export class UnsupportedFlag extends Error {}

/** Flags that stand alone, by their names in camel case. */
const TOGGLES = [
  'allowUnknownAlpnProtos',
  'async',
  'checkCloseNotify',
  'declineAlpn',
  'declineOcspCallback',
  'enableEarlyData',
  'enableGrease',
  'enableOcspStapling',
  'enableSignedCertTimestamps',
  'expectAcceptEarlyData',
  'expectExtendedMasterSecret',
  'expectHrr',
  'expectNoHrr',
  'expectNoOfferEarlyData',
  'expectNoPeerCert',
  'expectNoSession',
  'expectNoSessionId',
  'expectRejectEarlyData',
  'expectSecureRenegotiation',
  'expectSessionMiss',
  'expectTicketSupportsEarlyData',
  'expectVerifyResult',
  'exportTrafficSecrets',
  'failCertCallback',
  'failOcspCallback',
  'implicitHandshake',
  'ipv6',
  'installCertCompressionAlgs',
  'isHandshakerSupported',
  'keyUpdate',
  'keyUpdateBeforeRead',
  'noKeyShares',
  'noLegacyServerConnect',
  'noOpExtraHandshake',
  'noServerNameAck',
  'noTicket',
  'noTls1',
  'noTls11',
  'noTls12',
  'permuteExtensions',
  'readWithUnfinishedWrite',
  'rejectAlpn',
  'renewTicket',
  'requireAnyClientCertificate',
  'reverifyOnResume',
  'selectEmptyAlpn',
  'sendAlert',
  'server',
  'serverPreference',
  'setOcspInCallback',
  'shimShutsDown',
  'shimWritesFirst',
  'skipTicket',
  'useCustomVerifyCallback',
  'useExportContext',
  'useOcspCallback',
  'useTicketAeadCallback',
  'useTicketCallback',
  'verifyFail',
  'verifyPeer',
] as const

const INTEGERS = [
  'earlyWriteAfterMessage',
  'expectCipher',
  'expectCipherAes',
  'expectCipherNoAes',
  'expectCurveId',
  'expectPeerCertificateType',
  'expectPeerSignatureAlgorithm',
  'expectSelectedCredential',
  'expectTicketAgeSkew',
  'expectVersion',
  'exportKeyingMaterial',
  'installOneCertCompressionAlg',
  'maxCertList',
  'maxSendFragment',
  'maxVersion',
  'minVersion',
  'port',
  'readSize',
  'repeatShimInitialWrite',
  'resumeCount',
  'resumptionDelay',
] as const

/** Each occurrence adds one. */
const INTEGER_LISTS = [
  'acceptedPeerCertTypes',
  'availableClientCertTypes',
  'curves',
  'curvesFlags',
  'expectPeerVerifyPref',
  'keyShares',
  'serverSupportedGroupsHint',
  'verifyPrefs',
] as const

const TEXTS = [
  'advertiseAlpn',
  'cipher',
  'expectAdvertisedAlpn',
  'expectAlpn',
  'expectClientCaList',
  'expectEarlyDataReason',
  'expectOcspResponse',
  'expectPeerCertFile',
  'expectPeerRpkSha256',
  'expectServerName',
  'expectSignedCertTimestamps',
  'exportContext',
  'exportLabel',
  'hostName',
  'selectAlpn',
  'shimId',
  'shimInitialWrite',
  'ticketKey',
  'trustCert',
  'useClientCaList',
] as const

/** These belong to the credential announced last, or to the default one. */
const CREDENTIAL_TEXTS = [
  'certFile',
  'keyFile',
  'ocspResponse',
  'pskImporterContext',
  'pskImporterIdentity',
  'pskImporterKey',
  'signedCertTimestamps',
] as const
const CREDENTIAL_TOGGLES = [
  'mustMatchIssuer',
  'newRpkCredential',
  'pskImporterSha256',
  'pskImporterSha384',
] as const
const CREDENTIAL_INTEGER_LISTS = ['signingPrefs'] as const

type Name<List extends readonly string[]> = List[number]

type Flags = Record<Name<typeof TOGGLES>, boolean> &
  Record<Name<typeof INTEGERS>, number | undefined> &
  Record<Name<typeof INTEGER_LISTS>, readonly number[]> &
  Record<Name<typeof TEXTS>, string | undefined> & { -readonly [Key in keyof EchSettings]: EchSettings[Key] }

type CredentialValues = Record<Name<typeof CREDENTIAL_TOGGLES>, boolean> &
  Record<Name<typeof CREDENTIAL_TEXTS>, string | undefined> &
  Record<Name<typeof CREDENTIAL_INTEGER_LISTS>, readonly number[]>

export type CredentialFlags = Readonly<CredentialValues>

/** What one connection is to do and to expect. */
export interface Settings extends Readonly<Flags> {
  readonly defaultCredential: CredentialFlags
  /** Those of -new-x509-credential, -new-rpk-credential and -new-psk-credential, by preference. */
  readonly credentials: readonly CredentialFlags[]
}

/** The phases of a test: the first connection, those after it, and what follows a rejection of early data. */
export interface Phases {
  readonly initial: Settings
  readonly resume: Settings
  readonly retry: Settings
}

interface Draft extends Flags {
  readonly defaultCredential: CredentialValues
  readonly credentials: CredentialValues[]
}

/** Reads a command line. @throws UnsupportedFlag */
export function parseFlags(args: readonly string[]): Phases {
  const phases = { initial: draft(), resume: draft(), retry: draft() }
  const rest = args.values()
  for (const arg of rest) {
    const { name, phase, applies } = withoutPrefixes(arg)
    const read = READERS.get(name)
    if (read === undefined) throw new UnsupportedFlag(arg)
    const parameter = standsAlone(name) ? '' : (rest.next().value ?? '')
    const drafts = phase === undefined ? Object.values(phases) : [phases[phase]]
    if (applies) for (const settings of drafts) read(settings, parameter)
  }
  return phases
}

interface UnprefixedFlag {
  readonly name: string
  /** Absent when the flag applies to all phases. */
  readonly phase: keyof Phases | undefined
  /** Whether it is meant for us at all. */
  readonly applies: boolean
}

function withoutPrefixes(arg: string): UnprefixedFlag {
  const place = /^-on-(shim|handshaker)(?=-)/.exec(arg)
  const unplaced = place === null ? arg : arg.slice(place[0].length)
  const phase = /^-on-(initial|resume|retry)(?=-)/.exec(unplaced)
  const flag = phase === null ? unplaced : unplaced.slice(phase[0].length)
  return {
    name: flag.replace('-', '').replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
    phase: phase?.[1] as keyof Phases | undefined,
    applies: place?.[1] !== 'handshaker',
  }
}

type ReadInto = (settings: Draft, parameter: string) => void

const NEW_CREDENTIALS = ['newX509Credential', 'newPskCredential'] as const
const NEW_RAW_KEY = 'newRpkCredential'

function standsAlone(name: string): boolean {
  return [...NEW_CREDENTIALS, ...TOGGLES, ...ECH_TOGGLES, ...CREDENTIAL_TOGGLES].some(
    (toggle) => toggle === name,
  )
}

const READERS: ReadonlyMap<string, ReadInto> = new Map<string, ReadInto>([
  ...readers(NEW_CREDENTIALS, (settings) => void settings.credentials.push(credentialDraft())),
  ...readers(TOGGLES, (settings, name) => void (settings[name] = true)),
  ...readers(INTEGERS, (settings, name, text) => void (settings[name] = Number(text))),
  ...readers(
    INTEGER_LISTS,
    (settings, name, text) => void (settings[name] = [...settings[name], Number(text)]),
  ),
  ...readers(TEXTS, (settings, name, text) => void (settings[name] = text)),
  ...readers(ECH_TOGGLES, (settings, name) => void (settings[name] = true)),
  ...readers(ECH_TEXTS, (settings, name, text) => void (settings[name] = text)),
  ...readers(ECH_TEXT_LISTS, (settings, name, text) => void (settings[name] = [...settings[name], text])),
  ...readers(CREDENTIAL_TEXTS, (settings, name, text) => void (current(settings)[name] = text)),
  ...readers(CREDENTIAL_TOGGLES, (settings, name) => void (current(settings)[name] = true)),
  [
    NEW_RAW_KEY,
    (settings) => void settings.credentials.push({ ...credentialDraft(), newRpkCredential: true }),
  ],
  ...readers(CREDENTIAL_INTEGER_LISTS, (settings, name, text) => {
    const credential = current(settings)
    credential[name] = [...credential[name], Number(text)]
  }),
])

function readers<List extends readonly string[]>(
  names: List,
  read: (settings: Draft, name: Name<List>, parameter: string) => void,
): [string, ReadInto][] {
  return names.map((name) => [name, (settings, parameter) => read(settings, name, parameter)])
}

function current({ credentials, defaultCredential }: Draft): CredentialValues {
  return credentials.at(-1) ?? defaultCredential
}

function draft(): Draft {
  return {
    ...initially(TOGGLES, false),
    ...initially(INTEGERS, undefined),
    ...initially(INTEGER_LISTS, []),
    ...initially(TEXTS, undefined),
    ...initially(ECH_TOGGLES, false),
    ...initially(ECH_TEXTS, undefined),
    ...initially(ECH_TEXT_LISTS, []),
    defaultCredential: credentialDraft(),
    credentials: [],
  }
}

function credentialDraft(): CredentialValues {
  return {
    ...initially(CREDENTIAL_TOGGLES, false),
    ...initially(CREDENTIAL_TEXTS, undefined),
    ...initially(CREDENTIAL_INTEGER_LISTS, []),
  }
}

function initially<List extends readonly string[], Value>(
  names: List,
  value: Value,
): Record<Name<List>, Value> {
  return Object.fromEntries(names.map((name) => [name, value])) as Record<Name<List>, Value>
}
