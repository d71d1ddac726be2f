import type { Attestors } from '../../src/ca/attestation.ts'
import { Issuer } from '../../src/ca/issuer.ts'
import { CertificateAuthority, type CertificateAuthorityOptions } from '../../src/ca/authority.ts'
import { CaError } from '../../src/ca/errors.ts'
import { createJoinToken } from '../../src/ca/join-token.ts'
import { JoinTokenAttestor } from '../../src/ca/join-token-attestor.ts'
import type { IssuanceJournal, JournalEntry } from '../../src/ca/journal.ts'
import { PeerSvidAttestor } from '../../src/ca/peer-svid-attestor.ts'
import type { AuthoritySlot, CaStore, StoredAuthority } from '../../src/ca/store.ts'
import type { TokenRegistration, TokenStore } from '../../src/ca/token-store.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { Revocations } from '../../src/identity/revocations.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'

/** Keeps authorities for as long as the test. */
export class MemoryCaStore implements CaStore {
  readonly held: Map<AuthoritySlot, StoredAuthority> = new Map()
  rotation: string | undefined
  revocations: string | undefined
  jwtKeys: string | undefined
  /** How many writes succeed before all fail, as if the machine had stopped. @default all succeed */
  writesLeft: number = Infinity

  load(slot: AuthoritySlot): Promise<StoredAuthority | undefined> {
    return Promise.resolve(this.held.get(slot))
  }

  save(slot: AuthoritySlot, authority: StoredAuthority): Promise<void> {
    return this.#write(() => this.held.set(slot, authority))
  }

  remove(slot: AuthoritySlot): Promise<void> {
    return this.#write(() => this.held.delete(slot))
  }

  slots(): Promise<readonly AuthoritySlot[]> {
    return Promise.resolve([...this.held.keys()])
  }

  loadRotation(): Promise<string | undefined> {
    return Promise.resolve(this.rotation)
  }

  saveRotation(record: string): Promise<void> {
    return this.#write(() => (this.rotation = record))
  }

  loadRevocations(): Promise<string | undefined> {
    return Promise.resolve(this.revocations)
  }

  saveRevocations(record: string): Promise<void> {
    return this.#write(() => (this.revocations = record))
  }

  loadJwtKeys(): Promise<string | undefined> {
    return Promise.resolve(this.jwtKeys)
  }

  /** Counts for no write: it is no step of a rotation. */
  saveJwtKeys(record: string): Promise<void> {
    this.jwtKeys = record
    return Promise.resolve()
  }

  rotationRevision(): Promise<string> {
    return Promise.resolve(this.rotation ?? '')
  }

  #write(write: () => unknown): Promise<void> {
    if (this.writesLeft <= 0) return Promise.reject(new CaError('CA_STORE_IO', 'The machine has stopped'))
    this.writesLeft--
    write()
    return Promise.resolve()
  }
}

/** Keeps registrations for as long as the test. */
class MemoryTokenStore implements TokenStore {
  readonly registrations: Map<string, TokenRegistration> = new Map()
  readonly #uses = new Map<string, number>()

  save(tokenSha256: Uint8Array, registration: TokenRegistration): Promise<void> {
    this.registrations.set(tokenSha256.toHex(), registration)
    return Promise.resolve()
  }

  find(tokenSha256: Uint8Array): Promise<TokenRegistration | undefined> {
    return Promise.resolve(this.registrations.get(tokenSha256.toHex()))
  }

  countUse(tokenSha256: Uint8Array, uses: number): Promise<boolean> {
    const before = this.#uses.get(tokenSha256.toHex()) ?? 0
    if (before < uses) this.#uses.set(tokenSha256.toHex(), before + 1)
    return Promise.resolve(before < uses)
  }

  sweep(expiredBeforeMs: number): Promise<number> {
    const expired = [...this.registrations].filter(([, { expiresAtMs }]) => expiresAtMs < expiredBeforeMs)
    for (const [hash] of expired) this.registrations.delete(hash)
    return Promise.resolve(expired.length)
  }
}

/** A journal that tests can read, and make fail. */
export class MemoryJournal implements IssuanceJournal {
  readonly entries: JournalEntry[] = []
  failure: Error | undefined

  append(entry: JournalEntry): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure)
    this.entries.push(entry)
    return Promise.resolve()
  }
}

export const TRUST_DOMAIN = 'example.org'
export const WEB: SpiffeId = SpiffeId.parse('spiffe://example.org/ns/shop/sa/web')

const DAY_MS = 24 * 3600 * 1000

/** A certificate authority with all that belongs to it, in memory. */
export interface MemoryCa {
  readonly authority: CertificateAuthority
  readonly issuer: Issuer
  readonly journal: MemoryJournal
  readonly tokens: MemoryTokenStore
  readonly store: MemoryCaStore
  /** A new token for `id`. */
  readonly token: (id?: SpiffeId, ttlMs?: number, uses?: number) => Promise<string>
}

export async function memoryCa(
  nowMs: number,
  overrides: Partial<
    CertificateAuthorityOptions & { readonly attestors: Attestors; readonly revocations: () => Revocations }
  > = {},
): Promise<MemoryCa> {
  const crypto = nativeCrypto()
  const journal = new MemoryJournal()
  const tokens = new MemoryTokenStore()
  const store = new MemoryCaStore()
  const authority = await CertificateAuthority.open(
    { store, journal, crypto, trustDomain: TRUST_DOMAIN, intermediateTtlMs: 365 * DAY_MS, ...overrides },
    { nowMs },
  )
  const attestors = overrides.attestors ?? {
    'join-token': new JoinTokenAttestor({ crypto, store: tokens }),
    'peer-svid': new PeerSvidAttestor(),
  }
  return {
    authority,
    issuer: new Issuer({
      authority,
      attestors,
      journal,
      ...(overrides.revocations !== undefined && { revocations: overrides.revocations }),
    }),
    journal,
    tokens,
    store,
    token: async (id = WEB, ttlMs = DAY_MS, uses?: number) =>
      (await createJoinToken(id, { crypto, store: tokens, nowMs, ttlMs, uses })).text,
  }
}
