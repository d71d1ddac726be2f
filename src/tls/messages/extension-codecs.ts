/** The contents of extensions, each as a pair of functions that read all of the bytes and write them again. */
import { readAll, type LengthBounds, type Reader } from '../../bytes/reader.ts'
import type { Writer } from '../../bytes/writer.ts'
import { TlsError } from '../errors.ts'

/** Reads and writes one form of one extension's contents. */
export interface Codec<T> {
  /** @throws DecodeError, TlsError */
  read(contents: Uint8Array): T
  write(writer: Writer, value: T): void
}

export interface KeyShareEntry {
  readonly group: number
  readonly share: Uint8Array
}

/** A codec that reads all of the contents with `read`. */
export function codec<T>(
  name: string,
  read: (reader: Reader) => T,
  write: (writer: Writer, value: T) => void,
): Codec<T> {
  return { read: (contents) => readAll(contents, name, read), write }
}

/** An extension whose presence is all it says. */
export const flag: Codec<true> = codec(
  'extension',
  () => true,
  () => undefined,
)

/**
 * Numbered flags as a string of bits, the lowest first (draft-ietf-tls-tlsflags §2): at least one is set, and no zero
 * bytes follow the last of them. Those that nobody knows survive.
 */
export const flagSet: Codec<ReadonlySet<number>> = codec(
  'tls_flags',
  (reader) => {
    const bytes = reader.bytes8('flags', { min: 1 })
    if (bytes.at(-1) === 0)
      throw new TlsError(
        'TLS_ILLEGAL_PARAMETER',
        'tls_flags ends in a byte without flags, expected the fewest',
      )
    const flags = new Set<number>()
    for (const [index, byte] of bytes.entries())
      for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) flags.add(8 * index + bit)
    return flags
  },
  (writer, flags) => {
    const bytes = new Uint8Array(1 + (Math.max(...flags) >>> 3))
    for (const number of flags) bytes[number >>> 3]! |= 1 << (number & 7)
    writer.bytes8(bytes)
  },
)

/** Contents that are not looked into. */
export const opaque: Codec<Uint8Array> = {
  read: (contents) => contents,
  write: (writer, value) => writer.bytes(value),
}

/** One one-byte number. */
export function uint8(name: string): Codec<number> {
  return codec(
    name,
    (reader) => reader.uint8(name),
    (writer, value) => writer.uint8(value),
  )
}

/** One two-byte number, such as the version that a server selects. */
export function uint16(name: string): Codec<number> {
  return codec(
    name,
    (reader) => reader.uint16(name),
    (writer, value) => writer.uint16(value),
  )
}

/** Two-byte numbers behind a two-byte length. */
export function uint16List(name: string): Codec<readonly number[]> {
  return codec(
    name,
    (reader) => reader.vector16(name, (list) => list.each((item) => item.uint16(name)), { min: 2 }),
    (writer, values) => writer.vector16((list) => values.forEach((value) => list.uint16(value))),
  )
}

/** The versions that a client offers: two-byte numbers behind a one-byte length (RFC 8446 §4.2.1). */
export const versionList: Codec<readonly number[]> = codec(
  'supported_versions',
  (reader) =>
    reader.vector8('versions', (list) => list.each((item) => item.uint16('version')), { min: 2, max: 254 }),
  (writer, values) => writer.vector8((list) => values.forEach((value) => list.uint16(value))),
)

/** One-byte numbers behind a one-byte length (RFC 8446 §4.2.9). */
export const byteList: Codec<readonly number[]> = codec(
  'psk_key_exchange_modes',
  (reader) => Array.from(reader.bytes8('ke_modes', { min: 1 })),
  (writer, values) => writer.bytes8(Uint8Array.from(values)),
)

/** RFC 8446 §4.2.2. */
export const cookie: Codec<Uint8Array> = codec(
  'cookie',
  (reader) => reader.bytes16('cookie', { min: 1 }),
  (writer, value) => writer.bytes16(value),
)

const HOST_NAME = 0

/** The DNS name that a client asks for (RFC 6066 §3): exactly one, in ASCII, without a zero byte. */
export const serverName: Codec<string> = codec(
  'server_name',
  (reader) =>
    reader.vector16('server_name_list', (list) => {
      if (list.uint8('name_type') !== HOST_NAME)
        throw new TlsError('TLS_DECODE_ERROR', 'server_name has a name_type other than host_name')
      const name = list.bytes16('host_name', { min: 1, max: 255 })
      if (name.some((byte) => byte <= 0x20 || byte >= 0x7f)) {
        throw new TlsError('TLS_DECODE_ERROR', 'server_name holds a byte that no host name has')
      }
      return String.fromCharCode(...name)
    }),
  (writer, name) => writer.vector16((list) => list.uint8(HOST_NAME).bytes16(new TextEncoder().encode(name))),
)

/** Protocol names by preference (RFC 7301 §3.1). */
export const protocolList: Codec<readonly string[]> = codec(
  'application_layer_protocol_negotiation',
  (reader) =>
    reader.vector16(
      'protocol_name_list',
      (list) => list.each((item) => latin1(item.bytes8('protocol_name', { min: 1 }))),
      {
        min: 2,
      },
    ),
  (writer, names) =>
    writer.vector16((list) => names.forEach((name) => list.bytes8(Buffer.from(name, 'latin1')))),
)

/** The key shares of a ClientHello, by preference; none is legal and asks for a HelloRetryRequest (RFC 8446 §4.2.8). */
export const keyShareList: Codec<readonly KeyShareEntry[]> = codec(
  'key_share',
  (reader) => reader.vector16('client_shares', (list) => list.each(readKeyShare)),
  (writer, shares) => writer.vector16((list) => shares.forEach((share) => writeKeyShare(list, share))),
)

/** The key share of a ServerHello. */
export const keyShare: Codec<KeyShareEntry> = codec('key_share', readKeyShare, writeKeyShare)

/** Distinguished names, as DER (RFC 8446 §4.2.4). */
export const nameList: Codec<readonly Uint8Array[]> = codec(
  'certificate_authorities',
  (reader) =>
    reader.vector16(
      'authorities',
      (list) => list.each((item) => item.bytes16('distinguished_name', { min: 1 })),
      { min: 3 },
    ),
  (writer, names) => writer.vector16((list) => names.forEach((name) => list.bytes16(name))),
)

function readKeyShare(reader: Reader): KeyShareEntry {
  const bounds: LengthBounds = { min: 1 }
  return { group: reader.uint16('group'), share: reader.bytes16('key_exchange', bounds) }
}

function writeKeyShare(writer: Writer, { group, share }: KeyShareEntry): void {
  writer.uint16(group).bytes16(share)
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
