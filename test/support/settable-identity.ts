import type { IssuedJwtSvid } from '../../src/control/client.ts'
import { ControlError } from '../../src/control/errors.ts'
import type { IdentitySnapshot } from '../../src/control/identity-source.ts'
import type { WorkloadIdentity } from '../../src/control/workload-api/identity-feed.ts'
import type { X509Svid } from '../../src/identity/svid.ts'
import type { TrustBundles } from '../../src/identity/trust-bundle.ts'

/** An identity that a test changes by hand. */
export class SettableIdentity implements WorkloadIdentity {
  readonly #listeners = new Set<(snapshot: IdentitySnapshot) => void>()
  readonly #first = Promise.withResolvers<void>()
  #svid: X509Svid | undefined
  #bundles: TrustBundles
  #version = 0
  /** How often it was asked for. */
  asked = 0
  /** Makes tokens. */
  issue: (audience: readonly string[]) => Promise<IssuedJwtSvid> = () =>
    Promise.reject(new ControlError('CONTROL_UNAVAILABLE', 'The controller is away'))

  constructor(bundles: TrustBundles) {
    this.#bundles = bundles
  }

  /** How many follow it. */
  get followers(): number {
    return this.#listeners.size
  }

  set({ svid = this.#svid, bundles = this.#bundles }: Partial<IdentitySnapshot>): void {
    this.#svid = svid
    this.#bundles = bundles
    if (svid === undefined) return
    this.#first.resolve()
    this.#version++
    for (const listener of this.#listeners) listener({ svid, bundles, version: this.#version })
  }

  ready(): Promise<unknown> {
    this.asked++
    return this.#first.promise
  }

  issueToken(audience: readonly string[]): Promise<IssuedJwtSvid> {
    return this.issue(audience)
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
}
