import { equalBytes, passingBytes } from '../../bytes/bytes.ts'
import { DecodeError } from '../../bytes/errors.ts'
import { readAll } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, type CryptoProvider } from '../../crypto/provider.ts'
import type { CertificateMemory } from '../../pki/certificate-memory.ts'
import { CertificateError } from '../../pki/errors.ts'
import type { ServerTicketState, ServerTicketStore } from './resumption.ts'
import { readResumptionState, readTime, writeResumptionState, writeTime } from './resumption-codec.ts'

const AEAD = 'aes-256-gcm'
const NAME_BYTES = 16
const NO_TAG = new Uint8Array(AEAD_TAG_BYTES)

/** The layout below; another layout gets another number, so that old tickets are refused and not misread. */
const LAYOUT = 5

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
 * @param certificates remembers those that tickets hold; without it they are read anew for each
 */
export function sealedTickets(
  crypto: CryptoProvider,
  keys: () => TicketKeys,
  certificates?: CertificateMemory,
): ServerTicketStore {
  return {
    isSingleUse: false,
    issue: (state) => seal(crypto, keys().current, encodeState(state)),
    redeem(ticket, nowMs) {
      const encoded = open(crypto, keys(), ticket)
      if (encoded === undefined) return undefined
      const state = readState(encoded, certificates)
      encoded.fill(0)
      return state !== undefined && state.expiresAtMs > nowMs ? state : undefined
    },
  }
}

function seal(crypto: CryptoProvider, key: TicketKey, plaintext: Uint8Array): Uint8Array {
  using sealer = crypto.sealer(AEAD, key.secret)
  const nonce = crypto.random(AEAD_NONCE_BYTES)
  const writer = new Writer(NAME_BYTES + AEAD_NONCE_BYTES + plaintext.length + AEAD_TAG_BYTES)
  const ticket = writer.bytes(key.name).bytes(nonce).bytes(plaintext).bytes(NO_TAG).finish()
  const sealed = ticket.subarray(NAME_BYTES + AEAD_NONCE_BYTES)
  sealer.seal(nonce, key.name, sealed.subarray(0, plaintext.length), sealed)
  plaintext.fill(0)
  return ticket
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
  // Whoever reads it wipes it, and copies what it keeps.
  const plaintext = passingBytes(ciphertext.length)
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
  writeResumptionState(writer, state)
  writeTime(writer, state.issuedAtMs)
  writeTime(writer, state.expiresAtMs)
  return writer.finish()
}

/** An authentic ticket of another version of us, which shares our keys, says nothing to us: then there is no ticket. */
function readState(
  encoded: Uint8Array,
  certificates: CertificateMemory | undefined,
): ServerTicketState | undefined {
  if (encoded[0] !== LAYOUT) return undefined
  try {
    return decodeState(encoded.subarray(1), certificates)
  } catch (thrown) {
    if (thrown instanceof DecodeError || thrown instanceof CertificateError) return undefined
    throw thrown
  }
}

function decodeState(
  encoded: Uint8Array,
  certificates: CertificateMemory | undefined,
): ServerTicketState | undefined {
  return readAll(encoded, 'ticket', (reader) => {
    const state = readResumptionState(reader, certificates && ((der) => certificates.read(der)))
    const [issuedAtMs, expiresAtMs] = [readTime(reader), readTime(reader)]
    return state === undefined ? undefined : { ...state, issuedAtMs, expiresAtMs }
  })
}
