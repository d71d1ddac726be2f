/** Where extensions stand in handshake messages, found without the decoders that are under test. */
import { concat } from '../../../src/bytes/bytes.ts'
import { readAll, Reader } from '../../../src/bytes/reader.ts'
import { Writer } from '../../../src/bytes/writer.ts'
import { AEAD_TAG_BYTES } from '../../../src/crypto/provider.ts'
import { ExtensionType, HandshakeType } from '../../../src/tls/registry.ts'
import { bodyOf, messageOf } from './flight.ts'

export interface RawExtension {
  readonly type: number
  readonly contents: Uint8Array
}

/** Applies `change` to the first list of extensions in a message; a message that has none stays as it is. */
export function changeExtensions(
  message: Uint8Array,
  change: (extensions: RawExtension[]) => void,
): Uint8Array {
  try {
    const body = bodyOf(message)
    const { start, end, wrap } = locate(message[0]!, body)
    const extensions = readExtensionList(body.subarray(start, end))
    change(extensions)
    const list = new Writer()
      .vector16((entries) => {
        for (const { type, contents } of extensions) entries.uint16(type).bytes16(contents)
      })
      .finish()
    return messageOf(message[0]!, wrap(concat(body.subarray(0, start), list, body.subarray(end))))
  } catch {
    return message
  }
}

/**
 * Applies `change` to the extensions of the hello inside an encrypted one, which fuzzing leaves legible; any other
 * message stays as it is.
 */
export function changeInnerExtensions(
  message: Uint8Array,
  change: (extensions: RawExtension[]) => void,
): Uint8Array {
  if (message[0] !== HandshakeType.client_hello) return message
  return changeExtensions(message, (extensions) => {
    const at = extensions.findIndex(({ type }) => type === ExtensionType.encrypted_client_hello)
    if (at < 0) throw new RangeError('Nothing is encrypted')
    const { contents } = extensions[at]!
    const reader = new Reader(contents)
    reader.bytes(ECH_HEADER_BYTES, 'kind, suite and config id')
    reader.bytes16('encapsulated key')
    const head = contents.subarray(0, reader.offset)
    const payload = reader.bytes16('payload')
    const [inner, tag] = [payload.subarray(0, -AEAD_TAG_BYTES), payload.subarray(-AEAD_TAG_BYTES)]
    const changed = bodyOf(changeExtensions(messageOf(HandshakeType.client_hello, inner), change))
    extensions[at] = {
      type: ExtensionType.encrypted_client_hello,
      contents: new Writer(changed.length)
        .bytes(head)
        .vector16((sealed) => sealed.bytes(changed).bytes(tag))
        .finish(),
    }
  })
}

/** ECHClientHello up to the encapsulated key (RFC 9849 §5). */
const ECH_HEADER_BYTES = 6

function readExtensionList(encoded: Uint8Array): RawExtension[] {
  return readAll(encoded, 'extensions', (reader) =>
    reader.vector16('list', (list) =>
      list.each((item) => ({ type: item.uint16('type'), contents: item.bytes16('contents') })),
    ),
  )
}

interface Place {
  /** Of the list, length included. */
  readonly start: number
  readonly end: number
  /** Makes the lengths around the list right again. */
  readonly wrap: (body: Uint8Array) => Uint8Array
}

function locate(type: number, body: Uint8Array): Place {
  const reader = new Reader(body)
  const wrap = (changed: Uint8Array): Uint8Array => changed
  switch (type) {
    case HandshakeType.client_hello: {
      reader.bytes(34, 'version and random')
      reader.bytes8('session id')
      reader.bytes16('suites')
      reader.bytes8('compression')
      const start = reader.offset
      // A hello inside another one has padding behind it.
      return { start, end: start + 2 + reader.uint16('length'), wrap }
    }
    case HandshakeType.server_hello:
      reader.bytes(34, 'version and random')
      reader.bytes8('session id')
      reader.bytes(3, 'suite and compression')
      break
    case HandshakeType.certificate_request:
      reader.bytes8('context')
      break
    case HandshakeType.new_session_ticket:
      reader.bytes(8, 'lifetime and age')
      reader.bytes8('nonce')
      reader.bytes16('ticket')
      break
    case HandshakeType.certificate: {
      const entries = 1 + reader.bytes8('context').length
      reader.bytes(3, 'length of the list')
      reader.bytes24('certificate')
      const start = reader.offset
      return {
        start,
        end: start + 2 + reader.uint16('length'),
        wrap: (changed) =>
          new Writer(changed.length)
            .bytes(changed.subarray(0, entries))
            .bytes24(changed.subarray(entries + 3))
            .finish(),
      }
    }
    case HandshakeType.encrypted_extensions:
      break
    default:
      throw new RangeError('This message has no extensions')
  }
  return { start: reader.offset, end: body.length, wrap }
}
