import type { PolicySet } from '../authz/policy-set.ts'
import { Revocations } from '../identity/revocations.ts'
import type { X509Svid } from '../identity/svid.ts'
import type { TrustBundles } from '../identity/trust-bundle.ts'
import type { KeySets, RequestAuthenticator } from './request-authenticator.ts'

/** Who we are, whom we trust and what is allowed, at one moment. Immutable: a reader keeps the one it began with. */
export interface MeshView {
  readonly svid: X509Svid
  readonly bundles: TrustBundles
  readonly policy: PolicySet
  /** Of the controller's state that the policy came with; threads that carry traffic are not told. */
  readonly stateNumber?: number
  /** What is no longer accepted of those whom the bundles vouch for. */
  readonly revocations: Revocations
  /** The key sets of issuers of tokens, by where they are published. */
  readonly keySets: KeySets
  /** Verifies the tokens of requests; only threads that carry traffic have one. */
  readonly authenticator?: RequestAuthenticator | undefined
  /** Grows with every change of certificate or bundles. */
  readonly identityVersion: number
}

/** The newest view of the mesh, put together from parts that arrive on their own. There is none before all are there. */
export class MeshViews {
  readonly #listeners = new Set<(view: MeshView) => void>()
  #view: MeshView | undefined
  #svid: X509Svid | undefined
  #bundles: TrustBundles | undefined
  #policy: PolicySet | undefined
  #stateNumber: number | undefined
  #revocations: Revocations = Revocations.NONE
  #keySets: KeySets = new Map()
  #authenticator: RequestAuthenticator | undefined
  #identityVersion = 0
  #renewals = 0

  /** Undefined as long as certificate, bundles or policy are missing. */
  get current(): MeshView | undefined {
    return this.#view
  }

  /** How often the certificate has been replaced. */
  get renewals(): number {
    return this.#renewals
  }

  /** What was published last, even while policy is missing. */
  get svid(): X509Svid | undefined {
    return this.#svid
  }

  /** What is revoked, as far as is known, even while policy is missing. */
  get revocations(): Revocations {
    return this.#revocations
  }

  /** The current view, if its certificate is still valid: nothing may be begun with an expired one. */
  usable(nowMs: number): MeshView | undefined {
    return this.#view !== undefined && nowMs <= this.#view.svid.expiresAtMs ? this.#view : undefined
  }

  publishIdentity(identity: Pick<MeshView, 'svid' | 'bundles'>): void {
    this.#setIdentity(identity)
    this.#changed()
  }

  /** Policy, and what comes with it. @param with.revocations @default as they were, and so are key sets */
  publishPolicy(
    policy: PolicySet,
    {
      stateNumber,
      revocations = this.#revocations,
      keySets = this.#keySets,
      authenticator,
    }: Partial<Pick<MeshView, 'stateNumber' | 'revocations' | 'keySets' | 'authenticator'>> = {},
  ): void {
    this.#policy = policy
    this.#stateNumber = stateNumber
    this.#revocations = revocations
    this.#keySets = keySets
    this.#authenticator = authenticator
    this.#changed()
  }

  /** All parts at once, where they come together. */
  publish({ svid, bundles, policy, ...more }: Omit<MeshView, 'identityVersion' | 'stateNumber'>): void {
    this.#setIdentity({ svid, bundles })
    this.publishPolicy(policy, more)
  }

  /** The view after the next change. */
  next(): Promise<MeshView> {
    return new Promise((resolve) => {
      const stop = this.onChange((view) => {
        stop()
        resolve(view)
      })
    })
  }

  /** Calls `listener` after every change; returns the way to stop that. */
  onChange(listener: (view: MeshView) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #setIdentity({ svid, bundles }: Pick<MeshView, 'svid' | 'bundles'>): void {
    if (this.#svid === svid && this.#bundles === bundles) return
    if (this.#svid !== undefined && this.#svid !== svid) this.#renewals++
    this.#svid = svid
    this.#bundles = bundles
    this.#identityVersion++
  }

  #changed(): void {
    if (this.#svid === undefined || this.#bundles === undefined || this.#policy === undefined) return
    this.#view = {
      svid: this.#svid,
      bundles: this.#bundles,
      policy: this.#policy,
      ...(this.#stateNumber !== undefined && { stateNumber: this.#stateNumber }),
      revocations: this.#revocations,
      keySets: this.#keySets,
      ...(this.#authenticator && { authenticator: this.#authenticator }),
      identityVersion: this.#identityVersion,
    }
    for (const listener of this.#listeners) listener(this.#view)
  }
}
