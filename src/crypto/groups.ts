/**
 * What groups are made of: Diffie-Hellman (RFC 8446 §4.2.8.2), ML-KEM (draft-ietf-tls-mlkem), or both side by side, so
 * that a secret falls only with both (draft-ietf-tls-ecdhe-mlkem).
 */
import { concat } from '../bytes/bytes.ts'
import { checkShareLength, singleUse } from './key-share.ts'
import type { CompletedKeyAgreement, GroupName, PendingKeyAgreement } from './provider.ts'

/** All of them, by preference; those that nobody is offered unasked come last. */
export const GROUPS: readonly GroupName[] = [
  'X25519MLKEM768',
  'x25519',
  'secp256r1',
  'secp384r1',
  'secp521r1',
  'SecP256r1MLKEM768',
  'SecP384r1MLKEM1024',
  'MLKEM768',
  'MLKEM1024',
]

/** The parameter sets of FIPS 203 that groups are made of. */
export type KemName = 'ml-kem-768' | 'ml-kem-1024'

/** The groups with ML-KEM. */
export type KemGroup = Extract<GroupName, `${string}MLKEM${string}`>

/** Those of Diffie-Hellman alone. */
export type DhGroup = Exclude<GroupName, KemGroup>

/** ML-KEM of one provider. What it throws for is a CryptoError CRYPTO_INVALID_KEY_SHARE. */
export interface MlKem {
  generate(kem: KemName): {
    readonly encapsulationKey: Uint8Array
    readonly decapsulate: (ciphertext: Uint8Array) => Uint8Array
    /** As that of PendingKeyAgreement. */
    readonly forget?: () => void
  }
  /** Refuses keys that FIPS 203 §7.2 does. */
  encapsulate(
    kem: KemName,
    encapsulationKey: Uint8Array,
  ): { readonly ciphertext: Uint8Array; readonly secret: Uint8Array }
}

/** What a provider brings. */
export interface Agreements {
  readonly beginDh: (group: DhGroup) => PendingKeyAgreement
  readonly kem: MlKem
}

/** FIPS 203 §8, table 3. */
const KEM_BYTES: Readonly<Record<KemName, { readonly key: number; readonly ciphertext: number }>> = {
  'ml-kem-768': { key: 1184, ciphertext: 1088 },
  'ml-kem-1024': { key: 1568, ciphertext: 1568 },
}

interface Composition {
  readonly kem: KemName
  readonly dh?: DhGroup
  /** Which of the two comes first, in the shares as in the secret. */
  readonly first?: 'kem' | 'dh'
}

/**
 * draft-ietf-tls-mlkem, draft-ietf-tls-ecdhe-mlkem. A curve of NIST's comes before ML-KEM, so that the first secret is of
 * an approved scheme whether ML-KEM is validated or not (SP 800-56C).
 */
const COMPOSITIONS: Readonly<Record<KemGroup, Composition>> = {
  MLKEM768: { kem: 'ml-kem-768' },
  MLKEM1024: { kem: 'ml-kem-1024' },
  X25519MLKEM768: { kem: 'ml-kem-768', dh: 'x25519', first: 'kem' },
  SecP256r1MLKEM768: { kem: 'ml-kem-768', dh: 'secp256r1', first: 'dh' },
  SecP384r1MLKEM1024: { kem: 'ml-kem-1024', dh: 'secp384r1', first: 'dh' },
}

/** Whether a secret of this group outlasts quantum computers. */
export function isPostQuantum(group: string): group is KemGroup {
  return Object.hasOwn(COMPOSITIONS, group)
}

/** The initiator's half, in any group. */
export function beginBy({ beginDh, kem }: Agreements, group: GroupName): PendingKeyAgreement {
  if (!isPostQuantum(group)) return beginDh(group)
  const { kem: name, dh } = COMPOSITIONS[group]
  const { encapsulationKey, decapsulate, forget } = kem.generate(name)
  const ours = dh && beginDh(dh)
  return {
    group,
    share: join(group, encapsulationKey, ours?.share),
    classical: ours,
    complete: singleUse((peerShare) => {
      const theirs = split(group, peerShare, { kemBytes: KEM_BYTES[name].ciphertext, dhShare: ours?.share })
      const secret = decapsulate(theirs.kem)
      return joinSecrets(group, secret, ours?.complete(theirs.dh))
    }),
    forget() {
      forget?.()
      ours?.forget?.()
    },
  }
}

/** The responder's whole, in any group. */
export function answerBy(
  { beginDh, kem }: Agreements,
  group: GroupName,
  peerShare: Uint8Array,
): CompletedKeyAgreement {
  if (!isPostQuantum(group)) {
    // Both sides do the same.
    const ours = beginDh(group)
    return { share: ours.share, secret: ours.complete(peerShare) }
  }
  const { kem: name, dh } = COMPOSITIONS[group]
  const ours = dh && beginDh(dh)
  try {
    const theirs = split(group, peerShare, { kemBytes: KEM_BYTES[name].key, dhShare: ours?.share })
    const { ciphertext, secret } = kem.encapsulate(name, theirs.kem)
    const dhSecret = ours?.complete(theirs.dh)
    return { share: join(group, ciphertext, ours?.share), secret: joinSecrets(group, secret, dhSecret) }
  } finally {
    ours?.forget?.()
  }
}

function join(group: KemGroup, kem: Uint8Array, dh: Uint8Array | undefined): Uint8Array {
  if (dh === undefined) return kem
  return COMPOSITIONS[group].first === 'kem' ? concat(kem, dh) : concat(dh, kem)
}

/** Both halves of a secret in one buffer; the halves are wiped. */
function joinSecrets(group: KemGroup, kem: Uint8Array, dh: Uint8Array | undefined): Uint8Array {
  if (dh === undefined) return kem
  const secret = join(group, kem, dh)
  kem.fill(0)
  dh.fill(0)
  return secret
}

/** The halves of a peer's share; the peer's share for Diffie-Hellman is as long as ours. */
function split(
  group: KemGroup,
  share: Uint8Array,
  { kemBytes, dhShare }: { readonly kemBytes: number; readonly dhShare: Uint8Array | undefined },
): { readonly kem: Uint8Array; readonly dh: Uint8Array } {
  const dhBytes = dhShare?.length ?? 0
  checkShareLength(group, share, kemBytes + dhBytes)
  return COMPOSITIONS[group].first === 'dh'
    ? { kem: share.subarray(dhBytes), dh: share.subarray(0, dhBytes) }
    : { kem: share.subarray(0, kemBytes), dh: share.subarray(kemBytes) }
}
