/** The contents of extensions, each as a pair of functions that read all of the bytes and write them again. */
import { readAll, type LengthBounds, type Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { TlsError } from '../errors.ts'

/** Reads and writes one form of one extension's contents. */
export interface Codec<T> {
  /** @throws DecodeError, TlsError */
  read(contents: Uint8Array): T
  write(value: T): Uint8Array
}

export interface KeyShareEntry {
  readonly group: number
  readonly share: Uint8Array
}

function codec<T>(
  name: string,
  read: (reader: Reader) => T,
  write: (writer: Writer, value: T) => void,
): Codec<T> {
  return {
    read: (contents) => readAll(contents, name, read),
    write: (value) => {
      const writer = new Writer()
      write(writer, value)
      return writer.finish()
    },
  }
}

/** An extension whose presence is all it says. */
export const flag: Codec<true> = codec(
  'extension',
  () => true,
  () => undefined,
)

/** Contents that are not looked into. */
export const opaque: Codec<Uint8Array> = { read: (contents) => contents, write: (value) => value }

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
  (writer, values) => writer.vector8((list) => list.bytes(Uint8Array.from(values))),
)

/** RFC 8446 §4.2.2. */
export const cookie: Codec<Uint8Array> = codec(
  'cookie',
  (reader) => reader.bytes16('cookie', { min: 1 }),
  (writer, value) => writer.vector16((contents) => contents.bytes(value)),
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
  (writer, name) =>
    writer.vector16((list) =>
      list.uint8(HOST_NAME).vector16((contents) => contents.bytes(new TextEncoder().encode(name))),
    ),
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
    writer.vector16((list) =>
      names.forEach((name) => list.vector8((contents) => contents.bytes(Buffer.from(name, 'latin1')))),
    ),
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
  (writer, names) =>
    writer.vector16((list) => names.forEach((name) => list.vector16((contents) => contents.bytes(name)))),
)

/** The status_type of RFC 6066 §8. */
const OCSP = 1

/** A ClientHello's wish for an OCSP response, from any responder (RFC 6066 §8). */
export const OCSP_REQUEST: Uint8Array = Uint8Array.of(OCSP, 0, 0, 0, 0)

/** A DER OCSPResponse beside the certificate it is about (RFC 8446 §4.4.2.1). */
export const ocspStatus: Codec<Uint8Array> = codec(
  'status_request',
  (reader) => {
    const type = reader.uint8('status_type')
    if (type !== OCSP) throw new TlsError('TLS_DECODE_ERROR', `status_type is ${type}, expected 1 (ocsp)`)
    return reader.bytes24('response', { min: 1 }).slice()
  },
  (writer, response) => writer.uint8(OCSP).vector24((contents) => contents.bytes(response)),
)

/** A SignedCertificateTimestampList of at least one entry, which is not looked into (RFC 6962 §3.3). */
export const timestampList: Codec<Uint8Array> = {
  read: (contents) => {
    readAll(contents, 'signed_certificate_timestamp', (reader) =>
      reader.vector16('sct_list', (list) => list.each((item) => item.bytes16('serialized_sct', { min: 1 })), {
        min: 1,
      }),
    )
    return contents.slice()
  },
  write: (value) => value,
}

function readKeyShare(reader: Reader): KeyShareEntry {
  const bounds: LengthBounds = { min: 1 }
  return { group: reader.uint16('group'), share: reader.bytes16('key_exchange', bounds) }
}

function writeKeyShare(writer: Writer, { group, share }: KeyShareEntry): void {
  writer.uint16(group).vector16((contents) => contents.bytes(share))
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}
