/** The encrypted_client_hello extension in each of its forms (RFC 9849 §5). */
import { readAll, type Reader } from '../../bytes/reader.ts'
import { TlsError } from '../errors.ts'
import type { Codec } from '../messages/extension-codecs.ts'
import { decodeEchConfigList } from './config.ts'

/** How many bytes of a ServerHello's random, or of a HelloRetryRequest's extension, signal acceptance. */
export const ECH_CONFIRMATION_BYTES = 8

const TYPE_OUTER = 0
const TYPE_INNER = 1

/** What the ClientHello that everybody can read says. */
export interface EchOuter {
  readonly kind: 'outer'
  readonly kdf: number
  readonly aead: number
  readonly configId: number
  /** The encapsulated key; empty in the second ClientHello, which goes on with the first one's. */
  readonly enc: Uint8Array
  /** The encrypted ClientHello with its tag. */
  readonly payload: Uint8Array
}

/** The mark of the ClientHello inside. */
export interface EchInner {
  readonly kind: 'inner'
}

export type EchClientHello = EchOuter | EchInner

/** In a ClientHello. */
export const echClientHello: Codec<EchClientHello> = {
  read: (contents) => readAll(contents, 'encrypted_client_hello', readClientHello),
  write(writer, value) {
    if (value.kind === 'inner') writer.uint8(TYPE_INNER)
    else
      writer
        .uint8(TYPE_OUTER)
        .uint16(value.kdf)
        .uint16(value.aead)
        .uint8(value.configId)
        .bytes16(value.enc)
        .bytes16(value.payload)
  },
}

function readClientHello(reader: Reader): EchClientHello {
  const type = reader.uint8('ECHClientHelloType')
  if (type === TYPE_INNER) return { kind: 'inner' }
  if (type !== TYPE_OUTER)
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      `encrypted_client_hello has the type ${type}, expected 0 or 1`,
    )
  return {
    kind: 'outer',
    kdf: reader.uint16('kdf_id'),
    aead: reader.uint16('aead_id'),
    configId: reader.uint8('config_id'),
    enc: reader.bytes16('enc').slice(),
    payload: reader.bytes16('payload', { min: 1 }).slice(),
  }
}

/** In a HelloRetryRequest: the signal of acceptance, or as many bytes that look like one. */
export const echConfirmation: Codec<Uint8Array> = {
  read: (contents) =>
    readAll(contents, 'encrypted_client_hello', (reader) =>
      reader.bytes(ECH_CONFIRMATION_BYTES, 'confirmation').slice(),
    ),
  write: (writer, value) => writer.bytes(value),
}

/** In EncryptedExtensions: configs to try again with, as an ECHConfigList whose syntax is checked. */
export const echRetryConfigs: Codec<Uint8Array> = {
  read(contents) {
    decodeEchConfigList(contents)
    return contents.slice()
  },
  write: (writer, value) => writer.bytes(value),
}
