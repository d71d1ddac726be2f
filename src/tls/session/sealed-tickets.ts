import { equalBytes } from '../../bytes/bytes.ts'
import { DecodeError } from '../../bytes/errors.ts'
import { readAll, type Reader } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, type CryptoProvider } from '../../crypto/provider.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { CertificateError } from '../../pki/errors.ts'
import type { VerifiedPeer } from '../../pki/verifier.ts'
import { CertificateType, CIPHER_SUITES, SIGNATURE_SCHEMES } from '../registry.ts'
import type { ServerTicketState, ServerTicketStore } from './resumption.ts'

const AEAD = 'aes-256-gcm'
const NAME_BYTES = 16

/** The layout below; another layout gets another number, so that old tickets are refused and not misread. */
const LAYOUT = 3

/** A key that seals tickets. Replicas that share it redeem each other's. */
export interface TicketKey {
  /** 16 bytes that are public and tell keys apart. */
  readonly name: Uint8Array
  /** 32 bytes. */
  readonly secret: Uint8Array
}

/** The key that seals new tickets, and the one before it, whose tickets are still taken. */
export interface TicketKeys {
  readonly current: TicketKey
  readonly previous?: TicketKey
}

/** A fresh key. */
export function makeTicketKey(crypto: CryptoProvider): TicketKey {
  return { name: crypto.random(NAME_BYTES), secret: crypto.random(32) }
}

/**
 * Seals the state into the ticket itself: the server keeps nothing, and a ticket can be used again while it lives, so
 * that it never carries early data.
 *
 * @param keys asked anew for each ticket, so that keys can rotate
 */
export function sealedTickets(crypto: CryptoProvider, keys: () => TicketKeys): ServerTicketStore {
  return {
    isSingleUse: false,
    issue: (state) => seal(crypto, keys().current, encodeState(state)),
    redeem(ticket, nowMs) {
      const encoded = open(crypto, keys(), ticket)
      if (encoded === undefined) return undefined
      const state = readState(encoded)
      encoded.fill(0)
      return state !== undefined && state.expiresAtMs > nowMs ? state : undefined
    },
  }
}

function seal(crypto: CryptoProvider, key: TicketKey, plaintext: Uint8Array): Uint8Array {
  using sealer = crypto.sealer(AEAD, key.secret)
  const nonce = crypto.random(AEAD_NONCE_BYTES)
  const ciphertext = new Uint8Array(plaintext.length + AEAD_TAG_BYTES)
  sealer.seal(nonce, key.name, plaintext, ciphertext)
  plaintext.fill(0)
  return new Writer().bytes(key.name).bytes(nonce).bytes(ciphertext).finish()
}

function open(crypto: CryptoProvider, keys: TicketKeys, ticket: Uint8Array): Uint8Array | undefined {
  if (ticket.length < NAME_BYTES + AEAD_NONCE_BYTES + AEAD_TAG_BYTES) return undefined
  const name = ticket.subarray(0, NAME_BYTES)
  const key = [keys.current, keys.previous].find(
    (known) => known !== undefined && equalBytes(known.name, name),
  )
  if (key === undefined) return undefined
  using opener = crypto.opener(AEAD, key.secret)
  const ciphertext = ticket.subarray(NAME_BYTES + AEAD_NONCE_BYTES)
  const plaintext = new Uint8Array(ciphertext.length)
  const length = opener.open(
    ticket.subarray(NAME_BYTES, NAME_BYTES + AEAD_NONCE_BYTES),
    name,
    ciphertext,
    plaintext,
  )
  return length < 0 ? undefined : plaintext.subarray(0, length)
}

function encodeState(state: ServerTicketState): Uint8Array {
  const writer = new Writer(2048).uint8(LAYOUT)
  writer.uint16(CIPHER_SUITES.find(({ name }) => name === state.cipherSuite)!.code)
  writer.vector8((secret) => secret.bytes(state.preSharedKey))
  writeTime(writer, state.issuedAtMs)
  writeTime(writer, state.expiresAtMs)
  writer.uint32(state.ageAdd).uint32(state.maxEarlyDataBytes)
  writeText(writer, state.serverName)
  writeText(writer, state.alpn)
  writer.uint16(SIGNATURE_SCHEMES.find(({ name }) => name === state.peerSignatureScheme)?.code ?? 0)
  writer.uint8(CertificateType[state.serverCertificateType ?? 'X509'])
  // An identity has one byte at least.
  writer.vector16((identity) => identity.bytes(state.externalPsk ?? new Uint8Array(0)))
  writer.vector24((peer) => {
    if (state.peer !== undefined) writePeer(peer, state.peer)
  })
  return writer.finish()
}

/** An authentic ticket of another version of us, which shares our keys, says nothing to us: then there is no ticket. */
function readState(encoded: Uint8Array): ServerTicketState | undefined {
  if (encoded[0] !== LAYOUT) return undefined
  try {
    return decodeState(encoded.subarray(1))
  } catch (thrown) {
    if (thrown instanceof DecodeError || thrown instanceof CertificateError) return undefined
    throw thrown
  }
}

function decodeState(encoded: Uint8Array): ServerTicketState | undefined {
  return readAll(encoded, 'ticket', (reader) => {
    const suite = reader.uint16('cipher_suite')
    const cipherSuite = CIPHER_SUITES.find(({ code }) => code === suite)?.name
    const preSharedKey = reader.bytes8('pre_shared_key').slice()
    const issuedAtMs = readTime(reader)
    const expiresAtMs = readTime(reader)
    const ageAdd = reader.uint32('age_add')
    const maxEarlyDataBytes = reader.uint32('max_early_data_size')
    const serverName = readText(reader)
    const alpn = readText(reader)
    const scheme = reader.uint16('signature_scheme')
    const peerSignatureScheme = SIGNATURE_SCHEMES.find(({ code }) => code === scheme)?.name
    const isRaw = reader.uint8('server_certificate_type') === CertificateType.RawPublicKey
    const externalPsk = reader.bytes16('external_psk').slice()
    const peer = reader.vector24('peer', (contents) =>
      contents.remaining === 0 ? undefined : readPeer(contents),
    )
    if (cipherSuite === undefined) return undefined
    return {
      cipherSuite,
      preSharedKey,
      issuedAtMs,
      expiresAtMs,
      ageAdd,
      maxEarlyDataBytes,
      ...(serverName === undefined ? {} : { serverName }),
      ...(alpn === undefined ? {} : { alpn }),
      ...(peerSignatureScheme === undefined ? {} : { peerSignatureScheme }),
      serverCertificateType: isRaw ? 'RawPublicKey' : 'X509',
      ...(externalPsk.length === 0 ? {} : { externalPsk }),
      ...(peer === undefined ? {} : { peer }),
    }
  })
}

function writePeer(writer: Writer, { name, expiresAtMs, path, rawPublicKey }: VerifiedPeer): void {
  writeText(writer, name)
  writeTime(writer, expiresAtMs)
  writer.vector16((spki) => spki.bytes(rawPublicKey ?? new Uint8Array(0)))
  for (const { der } of path) writer.vector24((certificate) => certificate.bytes(der))
}

function readPeer(reader: Reader): VerifiedPeer {
  const name = readText(reader) ?? ''
  const expiresAtMs = readTime(reader)
  const rawPublicKey = reader.bytes16('raw_public_key').slice()
  const path = reader.each((item) => parseCertificate(item.bytes24('certificate').slice()))
  return { name, expiresAtMs, path, ...(rawPublicKey.length === 0 ? {} : { rawPublicKey }) }
}

/** Whole milliseconds, in 48 bits. */
function writeTime(writer: Writer, timeMs: number): void {
  const whole = Math.floor(timeMs)
  writer.uint24(Math.floor(whole / 2 ** 24)).uint24(whole % 2 ** 24)
}

function readTime(reader: Reader): number {
  return reader.uint24('time') * 2 ** 24 + reader.uint24('time')
}

function writeText(writer: Writer, text: string | undefined): void {
  writer.uint8(text === undefined ? 0 : 1)
  if (text !== undefined) writer.vector16((contents) => contents.bytes(Buffer.from(text, 'utf8')))
}

function readText(reader: Reader): string | undefined {
  return reader.uint8('presence') === 0 ? undefined : Buffer.from(reader.bytes16('text')).toString('utf8')
}
