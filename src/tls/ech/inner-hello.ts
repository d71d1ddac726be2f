/** The ClientHello inside: compressed against the outer one, padded, and back (RFC 9849 §5.1, §6.1.3). */
import { concat, equalBytes } from '../../bytes/bytes.ts'
import { DecodeError } from '../../bytes/errors.ts'
import { readAll, type Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { TlsError } from '../errors.ts'
import {
  decodeClientHello,
  encodeClientHello,
  RANDOM_BYTES,
  type ClientHello,
} from '../messages/client-hello.ts'
import { Extensions } from '../messages/extensions.ts'
import { asMessage, encodeMessage, type HandshakeMessage } from '../messages/handshake-message.ts'
import { ExtensionType, HandshakeType, isGrease, nameOf, ProtocolVersion } from '../registry.ts'

const NOTHING = new Uint8Array(0)

/** Padding leaves nothing but the multiple of this many bytes to be seen (RFC 9849 §6.1.3). */
const PADDING_BLOCK_BYTES = 32

/** What an absent server_name would take besides its name (RFC 9849 §6.1.3). */
const SERVER_NAME_OVERHEAD_BYTES = 9

/** Never taken from the outer hello, even where both happen to be equal: that they are is nobody's business. */
const NEVER_SHARED: ReadonlySet<number> = new Set([
  ExtensionType.server_name,
  ExtensionType.pre_shared_key,
  ExtensionType.encrypted_client_hello,
])

/**
 * EncodedClientHelloInner: the leading extensions that `outer` has too are named instead of repeated, and all is
 * padded so that its length does not give the name away.
 */
export function encodeInnerHello(
  inner: ClientHello,
  outer: ClientHello,
  maximumNameLength: number,
): Uint8Array {
  const compressed = encodeClientHello({
    ...inner,
    sessionId: NOTHING,
    extensions: compress(inner.extensions, outer.extensions),
  })
  const { body } = asMessage(compressed)
  return concat(body, new Uint8Array(paddingFor(body.length, inner, maximumNameLength)))
}

function compress(
  inner: Extensions<'client_hello'>,
  outer: Extensions<'client_hello'>,
): Extensions<'client_hello'> {
  const { types } = inner
  const end = types.findIndex((type) => !isShared(type, inner, outer))
  const shared = types.slice(0, end)
  const compressed = new Extensions('client_hello')
  if (shared.length > 0) {
    const list = new Writer().vector8((codes) => shared.forEach((type) => codes.uint16(type))).finish()
    compressed.addUnknown(ExtensionType.ech_outer_extensions, list)
  }
  for (const type of types.slice(end)) compressed.addUnknown(type, inner.contents(type)!)
  return compressed
}

function isShared(
  type: number,
  inner: Extensions<'client_hello'>,
  outer: Extensions<'client_hello'>,
): boolean {
  const contents = outer.contents(type)
  return !NEVER_SHARED.has(type) && contents !== undefined && equalBytes(contents, inner.contents(type)!)
}

function paddingFor(length: number, { extensions }: ClientHello, maximumNameLength: number): number {
  const name = extensions.value('server_name')
  const namePadding =
    name === undefined
      ? maximumNameLength + SERVER_NAME_OVERHEAD_BYTES
      : Math.max(0, maximumNameLength - name.length)
  const padded = length + namePadding
  return namePadding + ((PADDING_BLOCK_BYTES - (padded % PADDING_BLOCK_BYTES)) % PADDING_BLOCK_BYTES)
}

/** A ClientHello with the message that it was, or would have been. */
export interface WholeHello {
  readonly hello: ClientHello
  readonly message: HandshakeMessage
}

/**
 * Restores a ClientHello from its encoded form and the outer hello.
 *
 * @throws TlsError TLS_ILLEGAL_PARAMETER for whatever is wrong with it (RFC 9849 §5.1, §7.1)
 */
export function decodeInnerHello(encoded: Uint8Array, outer: ClientHello): WholeHello {
  const whole = refusing(() => {
    const message = asMessage(readAll(encoded, 'EncodedClientHelloInner', (reader) => restore(reader, outer)))
    return { hello: decodeClientHello(message.body), message }
  })
  checkInnerHello(whole.hello)
  return whole
}

/** Puts the outer hello's parts in; yields a whole message. */
function restore(reader: Reader, outer: ClientHello): Uint8Array {
  return encodeMessage(HandshakeType.client_hello, (body) => {
    body.uint16(reader.uint16('legacy_version')).bytes(reader.bytes(RANDOM_BYTES, 'random'))
    reader.bytes8('legacy_session_id', { max: 0 })
    body.bytes8(outer.sessionId)
    body.bytes16(reader.bytes16('cipher_suites'))
    body.bytes8(reader.bytes8('legacy_compression_methods'))
    body.vector16((extensions) =>
      reader.vector16('extensions', (list) => expand(list, outer.extensions, extensions)),
    )
    if (reader.rest().some((byte) => byte !== 0))
      throw invalid('The padding of the encrypted ClientHello is not all zeros')
  })
}

/** Each extension of the outer hello can be taken once at most, in its order: the work is bounded by its length. */
function expand(list: Reader, outer: Extensions<'client_hello'>, output: Writer): void {
  const available = outer.types.values()
  while (list.remaining > 0) {
    const type = list.uint16('extension_type')
    const contents = list.bytes16('extension_data')
    if (type !== ExtensionType.ech_outer_extensions) {
      output.uint16(type).bytes16(contents)
      continue
    }
    for (const referred of readOuterTypes(contents)) {
      if (!isReferable(referred) || !available.some((candidate) => candidate === referred)) {
        const name = nameOf(ExtensionType, referred)
        throw invalid(
          `ech_outer_extensions refers to ${name}, which the outer ClientHello does not offer there`,
        )
      }
      output.uint16(referred).bytes16(outer.contents(referred)!)
    }
  }
}

function readOuterTypes(contents: Uint8Array): number[] {
  return readAll(contents, 'ech_outer_extensions', (reader) =>
    reader.vector8('ech_outer_extensions', (list) => list.each((item) => item.uint16('extension_type')), {
      min: 2,
      max: 254,
    }),
  )
}

function isReferable(type: number): boolean {
  return type !== ExtensionType.encrypted_client_hello && type !== ExtensionType.ech_outer_extensions
}

/** RFC 9849 §7.1: the mark of an inner hello, and no version before TLS 1.3. */
function checkInnerHello({ extensions }: ClientHello): void {
  if (extensions.value('encrypted_client_hello')?.kind !== 'inner')
    throw invalid('The encrypted ClientHello does not carry encrypted_client_hello of the type inner')
  const versions = extensions.value('supported_versions') ?? []
  const isModern = versions.every((version) => version >= ProtocolVersion.tls13 || isGrease(version))
  if (!isModern || !versions.includes(ProtocolVersion.tls13))
    throw invalid('The encrypted ClientHello offers versions other than TLS 1.3')
}

function refusing<Result>(read: () => Result): Result {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof DecodeError || (thrown instanceof TlsError && thrown.code === 'TLS_DECODE_ERROR'))
      throw invalid(`The encrypted ClientHello is malformed: ${thrown.message}`, thrown)
    throw thrown
  }
}

function invalid(message: string, cause?: Error): TlsError {
  return new TlsError('TLS_ILLEGAL_PARAMETER', message, cause === undefined ? {} : { cause })
}
