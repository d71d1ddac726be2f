/** Generators for the values that handshake messages hold, and the properties that every codec has. */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { DecodeError } from '../../src/bytes/errors.ts'
import { concat, toHex } from '../../src/bytes/bytes.ts'
import { readAll } from '../../src/bytes/reader.ts'
import { Writer } from '../../src/bytes/writer.ts'
import { messageOf } from '../../src/errors.ts'
import { TlsError } from '../../src/tls/errors.ts'
import { Extensions, type ExtendedMessage } from '../../src/tls/messages/extensions.ts'
import { asMessage } from '../../src/tls/messages/handshake-message.ts'

export const uint8: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0xff })
export const uint16: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0xffff })
export const uint32: fc.Arbitrary<number> = fc.integer({ min: 0, max: 0xffff_ffff })

export function bytes(minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength, maxLength, size: 'max' })
}

const codes = fc.array(uint16, { minLength: 1, maxLength: 40 })
const share = fc.record({ group: uint16, share: bytes(1, 80) })
const hostName = fc.stringMatching(/^[a-z0-9.-]{1,60}$/)
const protocols = fc.array(fc.stringMatching(/^[a-z0-9/.]{1,12}$/), { minLength: 1, maxLength: 5 })
const names = fc.array(bytes(1, 40), { minLength: 1, maxLength: 4 })

const compressionAlgorithms = fc.uniqueArray(uint16, { minLength: 1, maxLength: 5 })
/** With one that is not X.509, which alone goes without saying. */
const certificateTypes = fc.array(uint8, { maxLength: 3 }).map((others) => [2].concat(others))

type Additions<Message extends ExtendedMessage> = fc.Arbitrary<
  ((extensions: Extensions<Message>) => unknown)[]
>

/** Any subset of `additions`, in any order, and some unknown extensions in front, as read from the wire. */
function extensionsOf<Message extends ExtendedMessage>(
  message: Message,
  additions: readonly fc.Arbitrary<(extensions: Extensions<Message>) => unknown>[],
): fc.Arbitrary<Extensions<Message>> {
  const some: Additions<Message> = fc.tuple(...additions).chain((all) => fc.shuffledSubarray([...all]))
  return fc.tuple(unknownExtensions, some).map(([unknown, known]) => {
    const extensions = readExtensions(message, unknown)
    for (const add of known) add(extensions)
    return extensions
  })
}

interface RawExtension {
  readonly type: number
  readonly contents: Uint8Array
}

/** Types that the registry does not know: among them those of GREASE. */
const unknownExtensions: fc.Arbitrary<readonly RawExtension[]> = fc.uniqueArray(
  fc.record({
    type: fc.constantFrom(0x0a0a, 0xfafa, 0x1234, 0x4469, 0x7fff, 0xffff),
    contents: bytes(0, 20),
  }),
  { selector: ({ type }) => type, maxLength: 3 },
)

/** Extensions as a peer would send them, whatever they are. */
function encodeExtensions(list: readonly RawExtension[]): Uint8Array<ArrayBuffer> {
  return new Writer()
    .vector16((body) => {
      for (const { type, contents } of list) body.uint16(type).bytes16(contents)
    })
    .finish()
}

export function readExtensions<Message extends ExtendedMessage>(
  message: Message,
  list: readonly RawExtension[],
): Extensions<Message> {
  return readExtensionBytes(message, encodeExtensions(list))
}

export function readExtensionBytes<Message extends ExtendedMessage>(
  message: Message,
  encoded: Uint8Array,
): Extensions<Message> {
  return readAll(encoded, 'extensions', (reader) => Extensions.read(reader, message))
}

export const clientHelloExtensions: fc.Arbitrary<Extensions<'client_hello'>> = extensionsOf('client_hello', [
  hostName.map((name) => (set) => set.add('server_name', name)),
  codes.map((list) => (set) => set.add('supported_groups', list)),
  codes.map((list) => (set) => set.add('signature_algorithms', list)),
  codes.map((list) => (set) => set.add('signature_algorithms_cert', list)),
  protocols.map((list) => (set) => set.add('application_layer_protocol_negotiation', list)),
  codes.map((list) => (set) => set.add('supported_versions', list)),
  fc.array(share, { maxLength: 4 }).map((list) => (set) => set.add('key_share', list)),
  bytes(1, 60).map((value) => (set) => set.add('cookie', value)),
  fc
    .array(uint8, { minLength: 1, maxLength: 3 })
    .map((list) => (set) => set.add('psk_key_exchange_modes', list)),
  names.map((list) => (set) => set.add('certificate_authorities', list)),
  uint16.map((limit) => (set) => set.add('record_size_limit', limit)),
  fc.constant((set) => set.add('post_handshake_auth', true)),
  bytes(0, 30).map((value) => (set) => set.add('padding', value)),
  fc.constant((set) => set.add('status_request', { statusType: 'ocsp' })),
  fc.constant((set) => set.add('signed_certificate_timestamp', true)),
  compressionAlgorithms.map((list) => (set) => set.add('compress_certificate', list)),
  certificateTypes.map((list) => (set) => set.add('server_certificate_type', list)),
  certificateTypes.map((list) => (set) => set.add('client_certificate_type', list)),
])

/** Always with a version: without one it is not TLS 1.3, and read as such. */
export const serverHelloExtensions: fc.Arbitrary<Extensions<'server_hello'>> = fc
  .tuple(extensionsOf('server_hello', [share.map((entry) => (set) => set.add('key_share', entry))]), uint16)
  .map(([extensions, version]) => extensions.add('supported_versions', version))

export const retryExtensions: fc.Arbitrary<Extensions<'hello_retry_request'>> = extensionsOf(
  'hello_retry_request',
  [
    uint16.map((version) => (set) => set.add('supported_versions', version)),
    uint16.map((group) => (set) => set.add('key_share', group)),
    bytes(1, 60).map((value) => (set) => set.add('cookie', value)),
  ],
)

export const encryptedExtensions: fc.Arbitrary<Extensions<'encrypted_extensions'>> = extensionsOf(
  'encrypted_extensions',
  [
    fc.constant((set) => set.add('server_name', true)),
    codes.map((list) => (set) => set.add('supported_groups', list)),
    protocols.map((list) => (set) => set.add('application_layer_protocol_negotiation', list)),
    uint16.map((limit) => (set) => set.add('record_size_limit', limit)),
  ],
)

export const requestExtensions: fc.Arbitrary<Extensions<'certificate_request'>> = extensionsOf(
  'certificate_request',
  [
    codes.map((list) => (set) => set.add('signature_algorithms', list)),
    codes.map((list) => (set) => set.add('signature_algorithms_cert', list)),
    names.map((list) => (set) => set.add('certificate_authorities', list)),
    bytes(0, 20).map((value) => (set) => set.add('oid_filters', value)),
  ],
)

export const certificateExtensions: fc.Arbitrary<Extensions<'certificate'>> = extensionsOf('certificate', [
  bytes(1, 40).map((value) => (set) => set.add('status_request', value)),
])

export const ticketExtensions: fc.Arbitrary<Extensions<'new_session_ticket'>> = extensionsOf(
  'new_session_ticket',
  [
    fc
      .uniqueArray(fc.integer({ min: 0, max: 8 * 255 - 1 }), { minLength: 1, maxLength: 10 })
      // As they are read.
      .map((flags) => (set) => set.add('tls_flags', new Set(flags.sort((a, b) => a - b)))),
  ],
)

/** A message's pair of functions, over a generator of its values. */
export interface CodecUnderTest<T> {
  readonly arbitrary: fc.Arbitrary<T>
  /** The whole message, with its header. */
  encode(value: T): Uint8Array
  decode(body: Uint8Array): T
  /** Lengths of prefixes of the body that are messages of their own. @default none */
  wholePrefixes?(value: T, body: Uint8Array): readonly number[]
}

const RUNS = { numRuns: 60 }

/** What is encoded is decoded to the same, and that encodes to the same bytes. */
export function checkRoundTrip<T>(codec: CodecUnderTest<T>): void {
  fc.assert(
    fc.property(codec.arbitrary, (value) => {
      const encoded = codec.encode(value)
      const decoded = codec.decode(asMessage(encoded).body)
      assert.equal(toHex(codec.encode(decoded)), toHex(encoded))
      assert.deepEqual(plain(decoded), plain(value))
    }),
    RUNS,
  )
}

/** Every prefix is refused in words, and so is a byte too many. */
export function checkExactness<T>(codec: CodecUnderTest<T>): void {
  fc.assert(
    fc.property(codec.arbitrary, uint8, (value, extra) => {
      const { body } = asMessage(codec.encode(value))
      const whole = new Set(codec.wholePrefixes?.(value, body))
      for (let length = 0; length < body.length; length++)
        if (!whole.has(length)) refusesInWords(() => codec.decode(body.slice(0, length)))
      refusesInWords(() => codec.decode(concat(body, Uint8Array.of(extra))))
    }),
    { numRuns: 15 },
  )
}

/** Whatever the bytes are, they are decoded or refused in words. */
export function checkHostility<T>(codec: CodecUnderTest<T>): void {
  const attempt = (body: Uint8Array): void => {
    try {
      codec.decode(body)
    } catch (thrown) {
      assertRefusal(thrown)
    }
  }
  fc.assert(fc.property(bytes(0, 300), attempt), RUNS)
  const edit = fc.record({ at: fc.nat(), mask: fc.integer({ min: 1, max: 255 }) })
  fc.assert(
    fc.property(codec.arbitrary, fc.array(edit, { minLength: 1, maxLength: 4 }), (value, edits) => {
      const body = asMessage(codec.encode(value)).body.slice()
      for (const { at, mask } of edits) if (body.length > 0) body[at % body.length]! ^= mask
      attempt(body)
    }),
    { numRuns: 200 },
  )
}

/** `act` throws one of the two errors that decoding may throw. */
export function refusesInWords(act: () => unknown): void {
  let thrown: unknown
  try {
    act()
  } catch (caught) {
    thrown = caught
  }
  assertRefusal(thrown)
}

function assertRefusal(thrown: unknown): void {
  if (thrown instanceof DecodeError || thrown instanceof TlsError) return
  assert.fail(thrown === undefined ? 'Nothing was refused' : `Not a refusal: ${messageOf(thrown)}`)
}

/** Bytes as text, and extensions as what they hold, so that values compare by what they mean. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Extensions)
    return value.types.map((type) => [type, toHex((value as Extensions<'client_hello'>).contents(type)!)])
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}
