/** Tickets that the suite opens, changes and closes again: it knows their key and how they begin. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { concat, equalBytes } from '../../src/bytes/bytes.ts'
import { readAll } from '../../src/bytes/reader.ts'
import { Writer } from '../../src/bytes/writer.ts'
import {
  contentsOf,
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  encodeElement,
  encodeUnsigned,
  readSequence,
} from '../../src/crypto/der.ts'
import { plainBytes } from '../../src/crypto/plain-bytes.ts'
import type { ServerTicketState, ServerTicketStore } from '../../src/tls/session/resumption.ts'
import {
  readResumptionState,
  readTime,
  writeResumptionState,
  writeTime,
} from '../../src/tls/session/resumption-codec.ts'

const CIPHER = 'aes-128-cbc'
const BLOCK_BYTES = 16
const MAC_BYTES = 32
const TLS13 = Uint8Array.of(3, 4)
/** How the engine's own encoding of a session begins. */
const SUITE_BYTES = 2

/** @param key a name, a key for HMAC-SHA256 and one for AES-128, of 16 bytes each */
export function rewritableTickets(key: Uint8Array): ServerTicketStore {
  const [name, macKey, cipherKey] = [key.subarray(0, 16), key.subarray(16, 32), key.subarray(32, 48)]
  return {
    isSingleUse: false,
    issue(state) {
      const iv = randomBytes(BLOCK_BYTES)
      const cipher = createCipheriv(CIPHER, cipherKey, iv)
      const sealed = concat(name, iv, cipher.update(encodeSession(state)), cipher.final())
      return concat(sealed, macOf(sealed))
    },
    redeem(ticket, nowMs) {
      if (ticket.length < name.length + 2 * BLOCK_BYTES + MAC_BYTES) return undefined
      const sealed = ticket.subarray(0, ticket.length - MAC_BYTES)
      if (!equalBytes(sealed.subarray(0, name.length), name)) return undefined
      if (!equalBytes(ticket.subarray(sealed.length), macOf(sealed))) return undefined
      const body = sealed.subarray(name.length)
      const decipher = createDecipheriv(CIPHER, cipherKey, body.subarray(0, BLOCK_BYTES))
      const state = decodeSession(concat(decipher.update(body.subarray(BLOCK_BYTES)), decipher.final()))
      return state !== undefined && state.expiresAtMs > nowMs ? state : undefined
    },
  }

  function macOf(sealed: Uint8Array): Uint8Array {
    return plainBytes(createHmac('sha256', macKey).update(sealed).digest())
  }
}

/** The layout's number, the version, the suite and what else the engine keeps, which the suite does not look into. */
function encodeSession(state: ServerTicketState): Uint8Array {
  const writer = new Writer()
  writeResumptionState(writer, state)
  writeTime(writer, state.issuedAtMs)
  writeTime(writer, state.expiresAtMs)
  const encoded = writer.finish()
  return encodeElement(
    DER_SEQUENCE,
    encodeUnsigned(Uint8Array.of(1)),
    encodeUnsigned(TLS13),
    encodeElement(DER_OCTET_STRING, encoded.subarray(0, SUITE_BYTES)),
    encodeElement(DER_OCTET_STRING, encoded.subarray(SUITE_BYTES)),
  )
}

/** Undefined for a session of another version; the engine's own reading of sessions judges what is in one. */
function decodeSession(encoded: Uint8Array): ServerTicketState | undefined {
  const [, version, suite, rest] = readSequence(encoded, 'session')
  if (!equalBytes(contentsOf(version, DER_INTEGER, 'version'), TLS13)) return undefined
  const parts = [suite, rest].map((part) => contentsOf(part, DER_OCTET_STRING, 'session'))
  return readAll(concat(...parts), 'session', (reader) => {
    const state = readResumptionState(reader)
    const [issuedAtMs, expiresAtMs] = [readTime(reader), readTime(reader)]
    return state === undefined ? undefined : { ...state, issuedAtMs, expiresAtMs }
  })
}
