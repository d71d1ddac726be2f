/** Keys that both sides were given beforehand, made fit for each hash by the importer of RFC 9258. */
import { equalBytes } from '../../bytes/bytes.ts'
import { DecodeError } from '../../bytes/errors.ts'
import { readAll } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { hkdfExtract } from '../../crypto/hkdf.ts'
import { HASH_BYTES, type CryptoProvider } from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import type { Eventually } from '../eventually.ts'
import { settled, type Handshake } from '../handshake.ts'
import { hkdfExpandLabel } from '../key-schedule.ts'
import { ProtocolVersion, type CipherSuiteParameters } from '../registry.ts'
import type { ResumptionState } from './resumption.ts'

/** A key that both sides hold, and what they call it. */
export interface ExternalPsk {
  /** 1 to 4,096 bytes; observers of the ClientHello can read them. */
  readonly identity: Uint8Array
  /** Secret, of high entropy: a password can be guessed from one handshake (RFC 9257 §4.2). Never wiped by the engine. */
  readonly key: Uint8Array
  /** What the importer derives with; both sides must say the same. */
  readonly hash: 'sha256' | 'sha384'
  /** What else both sides know of the key's use, such as their roles; at most 4,096 bytes. @default empty */
  readonly context?: Uint8Array
}

/**
 * Finds the keys that clients were given under an external identity, of which context they may be; none is an empty
 * list. Clients that hold no key can ask for identities too.
 */
export type ExternalPskLookup = (identity: Uint8Array) => Eventually<readonly ExternalPsk[]>

/** A key as TLS 1.3 uses it, under one hash. */
export interface ImportedPsk {
  /** The ImportedIdentity, which stands in the ClientHello. */
  readonly identity: Uint8Array
  /** Secret, as long as the hash; whoever imports it wipes it. */
  readonly key: Uint8Array
}

/** The hashes of TLS 1.3's suites. */
export type TargetHash = CipherSuiteParameters['hash']

/** TLS KDF identifiers of RFC 9258 §10. */
const TARGET_KDF: Readonly<Record<TargetHash, number>> = { sha256: 1, sha384: 2 }

/** An identity goes into each ClientHello, and into the tickets of its connections: neither should grow large. */
const MAX_IDENTITY_BYTES = 4096

const NOTHING = new Uint8Array(0)

/** The ImportedIdentity of a key for suites of `targetHash` (RFC 9258 §5.1). */
export function importedIdentity({ identity, context }: ExternalPsk, targetHash: TargetHash): Uint8Array {
  return new Writer()
    .bytes16(identity)
    .bytes16(context ?? NOTHING)
    .uint16(ProtocolVersion.tls13)
    .uint16(TARGET_KDF[targetHash])
    .finish()
}

/** The external identity in an ImportedIdentity; undefined for bytes that are none. */
export function externalIdentityIn(imported: Uint8Array): Uint8Array | undefined {
  try {
    return readAll(imported, 'ImportedIdentity', (reader) => {
      const external = reader.bytes16('external_identity', { min: 1 }).slice()
      reader.bytes16('context')
      reader.uint16('target_protocol')
      reader.uint16('target_kdf')
      return external
    })
  } catch (thrown) {
    if (thrown instanceof DecodeError) return undefined
    throw thrown
  }
}

/** Derives the key for suites of `targetHash` (RFC 9258 §5.1). */
export function importPsk(crypto: CryptoProvider, psk: ExternalPsk, targetHash: TargetHash): ImportedPsk {
  const { key, hash } = psk
  const identity = importedIdentity(psk, targetHash)
  const extracted = hkdfExtract(crypto, hash, NOTHING, key)
  const context = crypto.digest(hash, identity)
  const imported = hkdfExpandLabel(crypto, hash, extracted, 'derived psk', context, HASH_BYTES[targetHash])
  extracted.fill(0)
  return { identity, key: imported }
}

/** Holds the keys of an endpoint against what the wire can carry. @throws TlsError TLS_BAD_OPTIONS */
export function checkExternalPsks(psks: readonly ExternalPsk[] | ExternalPskLookup | undefined): void {
  if (psks === undefined || typeof psks === 'function') return
  if (psks.length === 0)
    throw new TlsError('TLS_BAD_OPTIONS', 'externalPsks is empty, expected at least one key')
  for (const [index, psk] of psks.entries()) {
    const { identity, context = NOTHING, key } = psk
    const name = `externalPsks[${index}]`
    if (identity.length === 0 || identity.length > MAX_IDENTITY_BYTES || context.length > MAX_IDENTITY_BYTES)
      throw new TlsError(
        'TLS_BAD_OPTIONS',
        `${name} has an identity of ${identity.length} bytes and a context of ${context.length}, expected 1 to ${MAX_IDENTITY_BYTES} and at most ${MAX_IDENTITY_BYTES}`,
      )
    if (key.length === 0) throw new TlsError('TLS_BAD_OPTIONS', `${name} has an empty key`)
    const imported = importedIdentity(psk, 'sha256')
    if (psks.slice(0, index).some((other) => equalBytes(importedIdentity(other, 'sha256'), imported)))
      throw new TlsError('TLS_BAD_OPTIONS', `${name} has the identity and context of another one`)
  }
}

/** Tells keys of one identity apart: enough that no other key has it by chance, and nothing to learn the key by. */
const TAG_BYTES = 16

/** What the tickets of a key's connections remember it by, besides its identity. */
export function externalPskTag(crypto: CryptoProvider, psk: ExternalPsk): Uint8Array {
  const { key, hash } = psk
  const extracted = hkdfExtract(crypto, hash, NOTHING, key)
  const context = crypto.digest(hash, importedIdentity(psk, 'sha256'))
  const tag = hkdfExpandLabel(crypto, hash, extracted, 'ticket tag', context, TAG_BYTES)
  extracted.fill(0)
  return tag
}

/**
 * Whether an earlier connection's key is still among `psks`: another key under its identity is another key, so that the
 * tickets of one that was replaced die with it.
 */
export function* isStillConfigured(
  crypto: CryptoProvider,
  psks: readonly ExternalPsk[] | ExternalPskLookup | undefined,
  { externalPsk: identity, externalPskTag: tag }: Pick<ResumptionState, 'externalPsk' | 'externalPskTag'>,
): Handshake<boolean> {
  if (identity === undefined || tag === undefined) return false
  const known = typeof psks === 'function' ? yield* settled(psks(identity)) : (psks ?? [])
  return known.some(
    (psk) => equalBytes(psk.identity, identity) && equalBytes(externalPskTag(crypto, psk), tag),
  )
}
