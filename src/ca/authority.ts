import { signJws } from '../crypto/jws.ts'
import { messageOf } from '../errors.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'
import { svidVerifier } from '../identity/svid-verifier.ts'
import { trustBundle, type TrustBundle, TrustBundles } from '../identity/trust-bundle.ts'
import type { Certificate } from '../pki/certificate.ts'
import { keyIdentifierOf } from '../pki/key-identifier.ts'
import { issueCertificate, svidTemplate } from '../pki/issue.ts'
import { timeText } from '../pki/label.ts'
import type { AttestedCaller } from './attestation.ts'
import { Authorities, type AuthoritiesOptions } from './authorities.ts'
import { type AuthorityEvent, BACKDATE_MS } from './generation.ts'
import { judgeCsr } from './csr.ts'
import { CaError } from './errors.ts'
import type { IssuanceJournal } from './journal.ts'
import { JwtAuthorities, type JwtAuthoritiesOptions } from './jwt-authorities.ts'

export interface CertificateAuthorityOptions extends Omit<AuthoritiesOptions, 'svidTtlMs'> {
  readonly journal: IssuanceJournal
  /** How long an SVID lives, unless its owner asks for another time. @default 1 hour */
  readonly svidTtlMs?: number
  /** The longest that an SVID lives. @default svidTtlMs */
  readonly maxSvidTtlMs?: number
  /** How long a JWT-SVID lives. @default 5 minutes */
  readonly jwtTtlMs?: number
  /** How long a new key for JWT-SVIDs is published before it signs, if for more than an hour. @default 1 hour */
  readonly publishMs?: number
  /** Told when a root or an intermediate is made. */
  readonly onEvent?: (event: AuthorityEvent) => void
}

/** An X.509-SVID as it goes to its owner. */
export interface IssuedCertificate {
  /** The leaf, the intermediate, and what else leads to an anchor. */
  readonly chain: readonly [leaf: Certificate, intermediate: Certificate, ...rest: Certificate[]]
  readonly expiresAtMs: number
}

/** When, and for how long, a certificate is issued. */
export interface IssueOptions {
  readonly nowMs: number
  /** It is held within the authority's bounds. @default what is usual */
  readonly ttlMs?: number | undefined
  /** For clients that know its owner by a DNS name. @default none */
  readonly dnsNames?: readonly string[]
}

/** A JWT-SVID as it goes to its owner. */
export interface IssuedToken {
  /** A JWS in its compact form. */
  readonly token: string
  readonly expiresAtMs: number
}

const DEFAULT_SVID_TTL_MS = 3600 * 1000

/** A token can be used by whoever sees it, and cannot be revoked. */
const DEFAULT_JWT_TTL_MS = 300 * 1000

/** Enough to tell tokens apart, however many there are. */
const TOKEN_ID_BYTES = 16

/** Whom a token is for: a caller who names more wants one that opens every door. */
const MAX_AUDIENCES = 16
const MAX_AUDIENCE_CHARACTERS = 256

/** Nobody is given less: an owner who asked for a second would do nothing but renew. */
const SHORTEST_SVID_TTL_MS = 10_000

/**
 * A replica may sign with an authority until it sees the record that takes it out of use: what the leader reckons to be the
 * end of the last certificate is later by this, longer than it takes to write the record.
 */
const REPLICA_MS = 5_000

/** An SVID with less life than this would have to be renewed before it has reached its owner. */
const MIN_SVID_LIFE_MS = 1_000

/** Issues X.509-SVIDs for one trust domain. */
export class CertificateAuthority {
  readonly #options: CertificateAuthorityOptions
  readonly #authorities: Authorities
  readonly #jwt: JwtAuthorities
  readonly #svidTtlMs: number
  readonly #maxSvidTtlMs: number

  private constructor(options: CertificateAuthorityOptions, authorities: Authorities, jwt: JwtAuthorities) {
    this.#options = options
    this.#authorities = authorities
    this.#jwt = jwt
    this.#svidTtlMs = options.svidTtlMs ?? DEFAULT_SVID_TTL_MS
    this.#maxSvidTtlMs = options.maxSvidTtlMs ?? this.#svidTtlMs
  }

  /**
   * Opens the authority of the store, which this process alone changes; on its first start makes it.
   *
   * @param context.term of the lease that allows it. @default 0: nobody else uses the store
   * @throws CaError CA_STORE_…
   */
  static async open(
    options: CertificateAuthorityOptions,
    { nowMs, term }: { readonly nowMs: number; readonly term?: number | undefined },
  ): Promise<CertificateAuthority> {
    const { onEvent } = options
    const authorities = await Authorities.open(authoritiesOptions(options), { nowMs, onEvent, term })
    const jwt = await JwtAuthorities.open(jwtOptions(options), { nowMs })
    return new CertificateAuthority(options, authorities, jwt)
  }

  /**
   * Opens the authority that another replica leads.
   *
   * @returns undefined when that has not made it yet
   * @throws CaError CA_STORE_…
   */
  static async follow(
    options: CertificateAuthorityOptions,
    { nowMs }: { readonly nowMs: number },
  ): Promise<CertificateAuthority | undefined> {
    const authorities = await Authorities.follow(authoritiesOptions(options), { nowMs })
    const jwt = await JwtAuthorities.follow(jwtOptions(options))
    return authorities && jwt && new CertificateAuthority(options, authorities, jwt)
  }

  get trustDomain(): string {
    return this.#options.trustDomain
  }

  /** What to trust, to trust this authority. */
  get bundle(): TrustBundle {
    return trustBundle(this.trustDomain, this.#authorities.anchors, this.#jwt.published)
  }

  /** Takes over the keys for JWT-SVIDs that the leader has stored meanwhile. @throws CaError CA_STORE_… */
  refresh(): Promise<void> {
    return this.#jwt.refresh()
  }

  /** The roots and intermediates, and how far a rotation of them has come. */
  get authorities(): Authorities {
    return this.#authorities
  }

  /** Replaces the intermediate, and the key for JWT-SVIDs, if it nears its end. To be called now and then. @throws CaError CA_STORE_… */
  async maintain(nowMs: number): Promise<void> {
    await this.#authorities.maintain({ nowMs, onEvent: this.#options.onEvent })
    await this.#jwt.maintain(nowMs)
  }

  /**
   * Certifies the key of a CSR for a caller who is proven. Nothing else is taken from the CSR.
   *
   * @param csr PKCS#10, DER
   * @throws CaError CA_WRONG_TRUST_DOMAIN, CA_CSR_…, CA_INTERMEDIATE_VALIDITY, CA_ISSUED_INVALID, CA_STORE_IO, CA_BUSY
   */
  async issue(
    caller: AttestedCaller,
    csr: Uint8Array,
    { nowMs, ttlMs, dnsNames = [] }: IssueOptions,
  ): Promise<IssuedCertificate> {
    const { id } = caller
    this.#refuseForeign(caller)
    const publicKey = judgeCsr(csr, { id, crypto: this.#options.crypto })
    // The end of the certificate is reckoned from nowMs, which was before.
    await this.#authorities.settled({ nowMs })
    const { presented, signer } = this.#authorities
    const { intermediate } = signer
    const notAfterMs = Math.min(nowMs + this.#lifetime(ttlMs), intermediate.certificate.notAfterMs)
    if (nowMs < intermediate.certificate.notBeforeMs || notAfterMs - nowMs < MIN_SVID_LIFE_MS)
      throw new CaError(
        'CA_INTERMEDIATE_VALIDITY',
        `The intermediate is valid from ${timeText(intermediate.certificate.notBeforeMs)} to ${timeText(intermediate.certificate.notAfterMs)}, and it is ${timeText(nowMs)}`,
      )

    const template = svidTemplate({
      id: id.toString(),
      publicKey,
      subjectKeyIdentifier: keyIdentifierOf(publicKey.spki, this.#options.crypto),
      notBeforeMs: Math.max(nowMs - BACKDATE_MS, intermediate.certificate.notBeforeMs),
      notAfterMs,
      dnsNames,
    })
    const leaf = await issueCertificate(template, {
      issuer: intermediate.certificate,
      signingKey: intermediate.key,
    })
    const issued: IssuedCertificate = {
      chain: [leaf, ...presented],
      expiresAtMs: leaf.notAfterMs,
    }
    this.#refuseInvalid(issued, id, nowMs)
    await this.#record(issued, caller, nowMs)
    return issued
  }

  /**
   * Signs a JWT-SVID for a caller who is proven.
   *
   * @param audience whom it is for
   * @throws CaError CA_WRONG_TRUST_DOMAIN, CA_AUDIENCE, CA_STORE_IO, CA_BUSY
   */
  async issueToken(
    caller: AttestedCaller,
    audience: readonly string[],
    { nowMs }: { readonly nowMs: number },
  ): Promise<IssuedToken> {
    this.#refuseForeign(caller)
    checkAudience(audience)
    const { jwtTtlMs = DEFAULT_JWT_TTL_MS, crypto, journal } = this.#options
    const issuedAt = Math.floor(nowMs / 1000)
    const expiresAt = issuedAt + Math.floor(jwtTtlMs / 1000)
    const tokenId = crypto.random(TOKEN_ID_BYTES).toHex()
    const signer = this.#jwt.signer(nowMs)
    // JWT-SVID §3; `jti` is what the journal knows the token by.
    const claims = { sub: caller.id.toString(), aud: audience, exp: expiresAt, iat: issuedAt, jti: tokenId }
    const token = signJws(claims, signer)
    await journal.append({
      kind: 'issued-jwt',
      time: new Date(nowMs).toISOString(),
      spiffeId: caller.id.toString(),
      proof: caller.proof,
      tokenId,
      keyId: signer.keyId,
      audience,
      notAfter: new Date(expiresAt * 1000).toISOString(),
    })
    return { token, expiresAtMs: expiresAt * 1000 }
  }

  #refuseForeign({ id }: AttestedCaller): void {
    if (id.trustDomain === this.trustDomain) return
    throw new CaError(
      'CA_WRONG_TRUST_DOMAIN',
      `${id.toString()} is not of the trust domain ${this.trustDomain}`,
    )
  }

  /** What was asked for, within our bounds. */
  #lifetime(askedMs: number = this.#svidTtlMs): number {
    const shortestMs = Math.min(SHORTEST_SVID_TTL_MS, this.#svidTtlMs)
    // A replica that follows must not give more than the leader reckons with.
    const longestMs = Math.min(this.#maxSvidTtlMs, this.#authorities.state.svidTtlMs - REPLICA_MS)
    return Math.min(Math.max(askedMs, shortestMs), longestMs)
  }

  /** A fault in what we build must not leave the house: our own verifier is the first to see it. */
  #refuseInvalid({ chain }: IssuedCertificate, id: SpiffeId, nowMs: number): void {
    const bundles = TrustBundles.of(this.bundle)
    const verifier = svidVerifier({ bundles: () => bundles, crypto: this.#options.crypto, expected: id })
    try {
      for (const peerRole of ['server', 'client'] as const) verifier.verify(chain, { peerRole, nowMs })
    } catch (error) {
      throw new CaError(
        'CA_ISSUED_INVALID',
        `The certificate for ${id.toString()} is refused by our own verifier: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }

  async #record({ chain: [leaf] }: IssuedCertificate, caller: AttestedCaller, nowMs: number): Promise<void> {
    const sha256 = (bytes: Uint8Array): string => this.#options.crypto.digest('sha256', bytes).toHex()
    await this.#options.journal.append({
      kind: 'issued',
      time: new Date(nowMs).toISOString(),
      spiffeId: caller.id.toString(),
      proof: caller.proof,
      serialNumber: leaf.serialNumber,
      ...(caller.renews !== undefined && { renews: caller.renews }),
      ...(caller.beside !== undefined && { beside: caller.beside }),
      notAfter: new Date(leaf.notAfterMs).toISOString(),
      certificateSha256: sha256(leaf.der),
      publicKeySha256: sha256(leaf.publicKey.spki),
    })
  }
}

function checkAudience(audience: readonly string[]): void {
  const problem =
    audience.length === 0
      ? 'names nobody that it is for'
      : audience.length > MAX_AUDIENCES
        ? `names ${audience.length} that it is for, and at most ${MAX_AUDIENCES} may be`
        : audience.some((name) => name === '' || name.length > MAX_AUDIENCE_CHARACTERS)
          ? `is for somebody with no name, or one of more than ${MAX_AUDIENCE_CHARACTERS} characters`
          : undefined
  if (problem !== undefined) throw new CaError('CA_AUDIENCE', `The request for a token ${problem}`)
}

function authoritiesOptions(options: CertificateAuthorityOptions): AuthoritiesOptions {
  const { svidTtlMs = DEFAULT_SVID_TTL_MS, maxSvidTtlMs = svidTtlMs } = options
  return { ...options, svidTtlMs: maxSvidTtlMs + REPLICA_MS }
}

function jwtOptions(options: CertificateAuthorityOptions): JwtAuthoritiesOptions {
  return { ...options, ttlMs: options.jwtTtlMs ?? DEFAULT_JWT_TTL_MS }
}
