/** The suite's flags for Encrypted ClientHello: what they make of the engine's options, and what they expect. */
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import type { TlsError } from '../../src/tls/errors.ts'
import { decodeEchConfig, encodeEchConfigList, importEchKey } from '../../src/tls/ech/config.ts'
import type { ClientEch, ServerEch } from '../../src/tls/options.ts'
import { HandshakeType } from '../../src/tls/registry.ts'
import type { Session } from '../../src/tls/session.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'

export const ECH_TOGGLES = [
  'enableEchGrease',
  'expectEchAccept',
  'expectNoEchNameOverride',
  'expectNoEchRetryConfigs',
  'expectNoServerName',
  // No name may be asked for by ECH.
  'failEarlyCallbackEchRewind',
  'rejectUnusableEchConfig',
  // Asks for nothing more than a credential that is chosen once the ClientHello is known.
  'useEarlyCallback',
] as const

export const ECH_TEXTS = [
  'echConfigList',
  'expectEchNameOverride',
  'expectEchRetryConfigs',
  'expectMsgCallback',
] as const

/** One entry for each key of a server. */
export const ECH_TEXT_LISTS = ['echIsRetryConfig', 'echServerConfig', 'echServerKey'] as const

/** As a part of the settings of a connection. */
export type EchSettings = Readonly<Record<(typeof ECH_TOGGLES)[number], boolean>> &
  Readonly<Record<(typeof ECH_TEXTS)[number], string | undefined>> &
  Readonly<Record<(typeof ECH_TEXT_LISTS)[number], readonly string[]>>

/** What a connection turned out not to be. */
export class UnmetEchExpectation extends Error {}

/** The options of a client. */
export function clientEch({
  echConfigList,
  enableEchGrease: grease,
  rejectUnusableEchConfig: required,
}: EchSettings): { readonly ech?: ClientEch } {
  if (echConfigList === undefined) return grease || required ? { ech: { grease, required } } : {}
  return { ech: { configs: Uint8Array.fromBase64(echConfigList), grease, required } }
}

/** The options of a server. */
export function serverEch(
  { echServerConfig, echServerKey, echIsRetryConfig, failEarlyCallbackEchRewind }: EchSettings,
  crypto: CryptoProvider,
): { readonly ech?: ServerEch } {
  if (echServerConfig.length === 0) return {}
  const keys = echServerConfig.map((encoded, i) =>
    importEchKey(crypto, {
      config: decodeEchConfig(Uint8Array.fromBase64(encoded)),
      scalar: Uint8Array.fromBase64(echServerKey[i]!),
    }),
  )
  const published = keys.filter((_, i) => echIsRetryConfig[i] === '1').map(({ config }) => config)
  const retryConfigs = encodeEchConfigList(published)
  return { ech: { keys, retryConfigs, accepts: () => !failEarlyCallbackEchRewind } }
}

/** Of a connection that is established. @throws UnmetEchExpectation */
export function checkEchSession(
  { expectEchAccept, expectNoServerName }: EchSettings,
  { echAccepted, serverName }: Session,
): void {
  check('whether ECH was accepted', echAccepted, expectEchAccept)
  if (expectNoServerName) check('the server name', serverName, undefined)
}

/** Of a connection that failed. @throws UnmetEchExpectation */
export function checkEchRejection(settings: EchSettings, { code, retryConfigs }: TlsError): void {
  if (code !== 'TLS_ECH_REJECTED') return
  const { expectEchRetryConfigs, expectNoEchRetryConfigs } = settings
  if (expectEchRetryConfigs !== undefined)
    check('the retry configs', retryConfigs?.toBase64(), expectEchRetryConfigs)
  if (expectNoEchRetryConfigs) check('the retry configs', retryConfigs, undefined)
}

/** Of the name that a server is verified for. @throws UnmetEchExpectation */
export function checkVerifiedName(
  { expectEchNameOverride, expectNoEchNameOverride }: EchSettings,
  { expected, usual }: { readonly expected: string | undefined; readonly usual: string | undefined },
): void {
  if (expectEchNameOverride !== undefined) check('the name to verify', expected, expectEchNameOverride)
  if (expectNoEchNameOverride) check('the name to verify', expected, usual)
}

/** Of the messages of a whole connection. @throws UnmetEchExpectation */
export function checkMessages({ expectMsgCallback }: EchSettings, events: readonly TraceEvent[]): void {
  if (expectMsgCallback === undefined) return
  const lines = events.flatMap((event) => {
    if (event.kind === 'message') return `${verb(event.direction)} hs ${HandshakeType[event.type]}`
    if (event.kind === 'inner_hello') return `${verb(event.direction)} clienthelloinner`
    // The suite's own shim hides those that come.
    return event.kind === 'change_cipher_spec' && event.direction === 'sent' ? 'write ccs' : []
  })
  check('the messages', `${lines.join('\n')}\n`, expectMsgCallback)
}

function verb(direction: 'sent' | 'received'): string {
  return direction === 'sent' ? 'write' : 'read'
}

function check(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected)
    throw new UnmetEchExpectation(`${what} is ${String(actual)}, expected ${String(expected)}`)
}
