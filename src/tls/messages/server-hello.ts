import { equalBytes } from '../../bytes/bytes.ts'
import { readAll, type Reader } from '../../bytes/reader.ts'
import { ExtensionType, HandshakeType } from '../registry.ts'
import { RANDOM_BYTES } from './client-hello.ts'
import { Extensions } from './extensions.ts'
import { encodeMessage } from './handshake-message.ts'

/** The random that makes a ServerHello a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446 §4.1.3). */
export const HELLO_RETRY_RANDOM: Uint8Array = Uint8Array.fromHex(
  'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c',
)

interface HelloFields {
  readonly legacyVersion: number
  readonly random: Uint8Array
  readonly sessionId: Uint8Array
  readonly cipherSuite: number
  readonly compressionMethod: number
}

export interface ServerHello extends HelloFields {
  readonly kind: 'server_hello'
  readonly extensions: Extensions<'server_hello'>
}

export interface HelloRetryRequest extends HelloFields {
  readonly kind: 'hello_retry_request'
  readonly extensions: Extensions<'hello_retry_request'>
}

/** Tells the two messages of RFC 8446 §4.1.3 and §4.1.4 apart. @throws DecodeError, TlsError */
export function decodeServerHello(body: Uint8Array): ServerHello | HelloRetryRequest {
  return readAll(body, 'server_hello', (reader) => {
    const fields: HelloFields = {
      legacyVersion: reader.uint16('legacy_version'),
      random: reader.bytes(RANDOM_BYTES, 'random').slice(),
      sessionId: reader.bytes8('legacy_session_id_echo', { max: 32 }).slice(),
      cipherSuite: reader.uint16('cipher_suite'),
      compressionMethod: reader.uint8('legacy_compression_method'),
    }
    if (equalBytes(fields.random, HELLO_RETRY_RANDOM)) {
      return {
        kind: 'hello_retry_request',
        ...fields,
        extensions: Extensions.read(reader, 'hello_retry_request'),
      }
    }
    return { kind: 'server_hello', ...fields, extensions: readServerHelloExtensions(reader) }
  })
}

/**
 * A server older than TLS 1.3 selects no version. It may send no extensions at all, or some that TLS 1.3 puts
 * elsewhere; they are left aside, so that the version check refuses the hello by name.
 */
function readServerHelloExtensions(reader: Reader): Extensions<'server_hello'> {
  const encoded = reader.rest()
  return selectsVersion(encoded)
    ? readAll(encoded, 'server_hello', (whole) => Extensions.read(whole, 'server_hello'))
    : new Extensions('server_hello')
}

function selectsVersion(encoded: Uint8Array): boolean {
  if (encoded.length === 0) return false
  const types = readAll(encoded, 'server_hello', (reader) =>
    reader.vector16('extensions', (list) =>
      list.each((item) => {
        const type = item.uint16('extension_type')
        item.bytes16('extension_data')
        return type
      }),
    ),
  )
  return types.includes(ExtensionType.supported_versions)
}

/** The version that the server selects in either message, if it selects any. */
export function selectedVersion(hello: ServerHello | HelloRetryRequest): number | undefined {
  return hello.kind === 'server_hello'
    ? hello.extensions.value('supported_versions')
    : hello.extensions.value('supported_versions')
}

export function encodeServerHello(hello: ServerHello | HelloRetryRequest): Uint8Array {
  return encodeMessage(HandshakeType.server_hello, (body) => {
    body.uint16(hello.legacyVersion).bytes(hello.random)
    body.bytes8(hello.sessionId)
    body.uint16(hello.cipherSuite).uint8(hello.compressionMethod)
    hello.extensions.write(body)
  })
}
