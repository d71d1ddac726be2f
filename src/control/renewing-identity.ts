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
import type { RenewalPlace, RenewalQueue } from './renewal-queue.ts'

/** A part of the remaining life by which renewals are spread, so that workloads started together do not renew together. */
const JITTER = 0.1

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
    const key = crypto.generateKey('ec-p256')
    const issued = await issue(createCsr(key))
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
    const retryInMs = this.#backoff.next()
    this.#place.renewAt(queue.nowMs() + retryInMs)
    const leftMs = this.#svid === undefined ? undefined : this.#svid.expiresAtMs - queue.nowMs()
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

/** When to renew a certificate that has `leftMs` of its life left: at half of it, give or take a tenth. */
export function renewalDelayMs(leftMs: number, random: () => number): number {
  const half = Math.max(0, leftMs) / 2
  return half * (1 - JITTER + 2 * JITTER * random())
}
