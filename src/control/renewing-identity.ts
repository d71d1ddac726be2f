import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'
import { parseX509Svid, type X509Svid } from '../identity/svid.ts'
import { svidVerifier } from '../identity/svid-verifier.ts'
import type { TrustBundles } from '../identity/trust-bundle.ts'
import { createCsr } from '../pki/csr.ts'
import { Backoff } from './backoff.ts'
import { ControlError } from './errors.ts'
import { messageOf } from '../errors.ts'
import type { IssuedSvid } from './client.ts'
import type { IdentitySnapshot, IdentitySource } from './identity-source.ts'
import { renewalDelayMs, retryDelayMs } from './renewal-time.ts'
import type { RenewalPlace, RenewalQueue } from './renewal-queue.ts'

/** Clocks further apart than this are worth a warning: half of what notBefore is back-dated by. */
const NOTABLE_SKEW_MS = 60_000

/** What an identity tells the log. */
export type IdentityEvent =
  | { readonly kind: 'issued'; readonly svid: X509Svid; readonly renewInMs: number }
  /** `leftMs` is what remains of the certificate in use; undefined when there is none, negative when it has expired. */
  | {
      readonly kind: 'failed'
      readonly error: unknown
      readonly retryInMs: number
      readonly leftMs: number | undefined
    }
  /** Positive when the controller's clock is ahead. */
  | { readonly kind: 'clock-skew'; readonly skewMs: number }

export interface RenewingIdentityOptions {
  readonly crypto: CryptoProvider
  /** Whom to trust before a controller has said more. */
  readonly bundles: TrustBundles
  /** Has the CSR certified, once. */
  readonly issue: (csr: Uint8Array) => Promise<IssuedSvid>
  /** Who we must turn out to be. @default whoever the controller says */
  readonly expected?: SpiffeId
  /** The process's one queue of renewals; its clock is ours. */
  readonly queue: RenewalQueue
  /** Uniform in [0, 1). */
  readonly random: () => number
  readonly onEvent?: (event: IdentityEvent) => void
}

interface CertificateRequest {
  readonly key: PrivateKey
  /** PKCS#10, DER. */
  readonly csr: Uint8Array
}

/**
 * Keeps an X.509-SVID: a new key pair for each, renewed at half of its life, retried with back-off for as long as it
 * takes. A certificate is replaced by a newer one and by nothing else.
 */
export class RenewingIdentity implements IdentitySource, Disposable {
  readonly #options: RenewingIdentityOptions
  readonly #backoff: Backoff
  readonly #listeners = new Set<(snapshot: IdentitySnapshot) => void>()
  readonly #first = Promise.withResolvers<IdentitySnapshot>()
  #bundles: TrustBundles
  #svid: X509Svid | undefined
  /** What no answer has come to yet: an outage of hours is no reason to make a key for every attempt. */
  #uncertified: CertificateRequest | undefined
  #version = 0
  #renewing = false
  readonly #place: RenewalPlace
  #disposed = false

  constructor(options: RenewingIdentityOptions) {
    this.#options = options
    this.#bundles = options.bundles
    this.#backoff = new Backoff({ random: options.random })
    this.#place = options.queue.join(() => void this.#renew())
  }

  /** Asks for the first certificate; resolves when it is there, which may never be. */
  start(): Promise<IdentitySnapshot> {
    void this.#renew()
    return this.#first.promise
  }

  current(): X509Svid | undefined {
    return this.#svid
  }

  bundles(): TrustBundles {
    return this.#bundles
  }

  onChange(listener: (snapshot: IdentitySnapshot) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Trusts these from now on. */
  replaceBundles(bundles: TrustBundles): void {
    this.#bundles = bundles
    this.#publish()
  }

  /**
   * Renews within so much time, whenever it would have been done otherwise; the moment is left to chance, so that
   * workloads who are told together do not come together.
   */
  renewWithin(spanMs: number): void {
    if (this.#disposed || this.#renewing) return
    const { queue, random } = this.#options
    this.#place.renewAt(queue.nowMs() + spanMs * random())
  }

  /** Ends renewals; what is held stays readable. */
  [Symbol.dispose](): void {
    this.#disposed = true
    this.#place[Symbol.dispose]()
  }

  async #renew(): Promise<void> {
    this.#renewing = true
    try {
      await this.#renewOnce()
    } catch (error) {
      this.#retry(error)
    } finally {
      this.#renewing = false
    }
  }

  async #renewOnce(): Promise<void> {
    const { crypto, issue, queue, random, onEvent } = this.#options
    const { key, csr } = (this.#uncertified ??= newRequest(crypto))
    const issued = await issue(csr)
    this.#uncertified = undefined
    if (this.#disposed) return
    const svid = this.#verify(issued, key)
    this.#svid = svid
    this.#bundles = issued.bundles
    this.#backoff.reset()
    this.#publish()
    const renewInMs = renewalDelayMs(svid.expiresAtMs - queue.nowMs(), random)
    this.#place.renewAt(queue.nowMs() + renewInMs)
    this.#renewing = false
    if (Math.abs(issued.clockSkewMs) > NOTABLE_SKEW_MS)
      onEvent?.({ kind: 'clock-skew', skewMs: issued.clockSkewMs })
    onEvent?.({ kind: 'issued', svid, renewInMs })
  }

  /** What a peer would demand of the certificate, before it replaces one that works. */
  #verify({ chain, bundles }: IssuedSvid, key: PrivateKey): X509Svid {
    const { crypto, expected, queue } = this.#options
    try {
      const verifier = svidVerifier({
        bundles: () => bundles,
        crypto,
        ...(expected !== undefined && { expected }),
      })
      verifier.verify(chain, { peerRole: 'server', nowMs: queue.nowMs() })
      return parseX509Svid(chain, key)
    } catch (error) {
      throw new ControlError(
        'CONTROL_CERTIFICATE',
        `The certificate that was issued is not usable: ${messageOf(error)}`,
        {
          cause: error,
        },
      )
    }
  }

  #retry(error: unknown): void {
    if (this.#disposed) return
    const { queue, onEvent } = this.#options
    const leftMs = this.#svid === undefined ? undefined : this.#svid.expiresAtMs - queue.nowMs()
    const retryInMs = retryDelayMs(this.#backoff.next(), leftMs)
    this.#place.renewAt(queue.nowMs() + retryInMs)
    onEvent?.({ kind: 'failed', error, retryInMs, leftMs })
  }

  #publish(): void {
    if (this.#svid === undefined) return
    this.#version++
    const snapshot: IdentitySnapshot = { svid: this.#svid, bundles: this.#bundles, version: this.#version }
    this.#first.resolve(snapshot)
    for (const listener of this.#listeners) listener(snapshot)
  }
}

function newRequest(crypto: CryptoProvider): CertificateRequest {
  const key = crypto.generateKey('ec-p256')
  return { key, csr: createCsr(key) }
}
