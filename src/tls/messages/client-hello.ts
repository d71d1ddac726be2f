import { readAll } from '../../bytes/reader.ts'
import { TlsError } from '../errors.ts'
import { equalBytes } from '../../bytes/bytes.ts'
import { HASH_BYTES } from '../../crypto/provider.ts'
import {
  ExtensionType,
  HandshakeType,
  nameOf,
  ProtocolVersion,
  type CipherSuiteParameters,
} from '../registry.ts'
import { Extensions } from './extensions.ts'
import { encodeMessage } from './handshake-message.ts'

export const RANDOM_BYTES = 32

/** RFC 8446 §4.1.2. */
export interface ClientHello {
  readonly legacyVersion: number
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
  readonly cipherSuites: readonly number[]
  readonly compressionMethods: Uint8Array
  readonly extensions: Extensions<'client_hello'>
}

/** What holds bytes is a view of `body`. @throws DecodeError, TlsError */
export function decodeClientHello(body: Uint8Array): ClientHello {
  return readAll(body, 'client_hello', (reader) => ({
    legacyVersion: reader.uint16('legacy_version'),
    random: reader.bytes(RANDOM_BYTES, 'random'),
    sessionId: reader.bytes8('legacy_session_id', { max: 32 }),
    cipherSuites: reader.vector16(
      'cipher_suites',
      (list) => list.each((item) => item.uint16('cipher_suite')),
      { min: 2 },
    ),
    compressionMethods: reader.bytes8('legacy_compression_methods', { min: 1 }),
    // Clients older than TLS 1.2 may send none; such a hello is well-formed and fails for its version instead.
    extensions:
      reader.remaining === 0 ? new Extensions('client_hello') : Extensions.read(reader, 'client_hello'),
  }))
}

export function encodeClientHello(hello: ClientHello): Uint8Array {
  return encodeMessage(HandshakeType.client_hello, (body) => {
    body.uint16(hello.legacyVersion).bytes(hello.random)
    body.bytes8(hello.sessionId)
    body.vector16((list) => hello.cipherSuites.forEach((suite) => list.uint16(suite)))
    body.bytes8(hello.compressionMethods)
    hello.extensions.write(body)
  })
}

/**
 * Holds a ClientHello against the rules that do not depend on our configuration.
 *
 * @throws TlsError TLS_NO_COMMON_VERSION, TLS_ILLEGAL_PARAMETER, TLS_MISSING_EXTENSION
 */
export function checkClientHello(hello: ClientHello): void {
  const versions = hello.extensions.value('supported_versions')
  if (versions === undefined || !versions.includes(ProtocolVersion.tls13)) {
    throw new TlsError(
      'TLS_NO_COMMON_VERSION',
      versions === undefined
        ? `The client offers at most the legacy version 0x${hello.legacyVersion.toString(16)}, expected TLS 1.3 in supported_versions`
        : 'The client lists versions without TLS 1.3, the only one spoken here',
    )
  }
  // Beside supported_versions, legacy_version must be ignored (RFC 8446 §4.2.1).
  if (hello.compressionMethods.length !== 1 || hello.compressionMethods[0] !== 0) {
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      'legacy_compression_methods must hold "null" and nothing else',
    )
  }
  const { extensions } = hello
  const preSharedKey = extensions.types.indexOf(ExtensionType.pre_shared_key)
  if (preSharedKey !== -1 && preSharedKey !== extensions.types.length - 1) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'pre_shared_key is not the last extension (RFC 8446 §4.2.11)')
  }
  const groups = extensions.value('supported_groups')
  const shares = extensions.value('key_share')
  if (groups === undefined || shares === undefined) {
    throw new TlsError(
      'TLS_MISSING_EXTENSION',
      `The client sent no ${groups === undefined ? 'supported_groups' : 'key_share'} (RFC 8446 §9.2)`,
    )
  }
  const seen = new Set<number>()
  for (const { group } of shares) {
    if (seen.has(group))
      throw new TlsError('TLS_ILLEGAL_PARAMETER', 'key_share holds two shares of one group')
    if (!groups.includes(group))
      throw new TlsError(
        'TLS_ILLEGAL_PARAMETER',
        'key_share holds a group that supported_groups does not list',
      )
    seen.add(group)
  }
}

const KNOWN_EXTENSIONS: ReadonlySet<number> = new Set(Object.values(ExtensionType))

/** What a client may change after a HelloRetryRequest (RFC 8446 §4.1.2). */
const CHANGEABLE: ReadonlySet<number> = new Set([
  ExtensionType.key_share,
  ExtensionType.cookie,
  ExtensionType.early_data,
  ExtensionType.pre_shared_key,
  ExtensionType.padding,
  // What was rejected once is no longer looked at (RFC 9849 §7.1.1).
  ExtensionType.encrypted_client_hello,
])

/**
 * Holds the second ClientHello against the first.
 *
 * @param suite the one that the HelloRetryRequest names
 * @throws TlsError TLS_ILLEGAL_PARAMETER, TLS_MISSING_EXTENSION
 */
export function checkSecondClientHello(
  first: ClientHello,
  second: ClientHello,
  { hash }: CipherSuiteParameters,
): void {
  const changed = differenceBetween(first, second)
  if (changed !== undefined)
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `The second ClientHello changes ${changed}, which a HelloRetryRequest does not allow`,
    )
  // A binder is as long as the hash that its key belongs to: only keys under another one may go (RFC 8446 §4.1.2).
  const binders = first.extensions.value('pre_shared_key')?.binders ?? []
  const mayGo = binders.every(({ length }) => length !== HASH_BYTES[hash])
  if (!mayGo && !second.extensions.has(ExtensionType.pre_shared_key))
    throw new TlsError(
      'TLS_MISSING_EXTENSION',
      'The second ClientHello carries no pre_shared_key, which the first one did',
    )
}

function differenceBetween(first: ClientHello, second: ClientHello): string | undefined {
  if (!equalBytes(first.random, second.random)) return 'random'
  if (!equalBytes(first.sessionId, second.sessionId)) return 'legacy_session_id'
  if (first.cipherSuites.join() !== second.cipherSuites.join()) return 'cipher_suites'
  if (second.extensions.has(ExtensionType.early_data)) return 'early_data'
  const types = new Set([...first.extensions.types, ...second.extensions.types])
  for (const type of types) {
    // What nobody here reads can change nothing; Java 11 drops such an extension.
    if (CHANGEABLE.has(type) || !KNOWN_EXTENSIONS.has(type)) continue
    const [before, after] = [first.extensions.contents(type), second.extensions.contents(type)]
    if (before === undefined || after === undefined || !equalBytes(before, after))
      return nameOf(ExtensionType, type)
  }
  return undefined
}
