import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import type { CountingCrypto } from '../../support/counting-crypto.ts'
import { LateAnswers } from '../../support/late-answers.ts'
import { TlsPair, type TlsEnd, type Wire } from '../../support/tls-pair.ts'
import { verifierFor, type Workloads } from '../../support/tls-workloads.ts'
import { FUZZ_GROUPS, fuzzCrypto } from './fuzz-crypto.ts'
import type { Scenario } from './scenarios.ts'

export interface ScenarioRunOptions {
  /** Whether hashes and MACs are computed. @default true */
  readonly hashes?: boolean
  /** Keeps no trace. @default false */
  readonly untraced?: boolean
}

/** A scenario under way: both sides, and whoever answers them later. */
export class ScenarioRun implements Disposable {
  readonly pair: TlsPair
  readonly crypto: CountingCrypto
  readonly #early: Uint8Array | undefined
  readonly #answers = new LateAnswers()

  constructor(
    workloads: Workloads,
    scenario: Scenario,
    { hashes = true, untraced = false }: ScenarioRunOptions = {},
  ) {
    this.crypto = fuzzCrypto(nativeCrypto(), { hashes })
    const verifier = verifierFor(workloads, this.crypto)
    const { client, server } = scenario.options({ hashes, answers: this.#answers })
    this.pair = new TlsPair(workloads, {
      crypto: this.crypto,
      client: { groups: FUZZ_GROUPS, verifier, ...client },
      server: { clientVerifier: verifier, ...server },
      untraced,
    })
    this.#early = scenario.early
  }

  get client(): TlsEnd {
    return this.pair.client
  }

  get server(): TlsEnd {
    return this.pair.server
  }

  /** From the hellos until nothing moves any more. */
  handshake(wire?: Wire): this {
    return this.begin(wire).pump(wire)
  }

  /** From the hellos until nothing moves any more, or somebody waits for an answer. */
  begin(wire?: Wire): this {
    this.pair.start()
    if (this.#early !== undefined) {
      const { connection } = this.client
      // A client that still waits for its ticket sends nothing.
      if (connection.sendEarly(this.#early) === 0 && this.#answers.giveNext())
        connection.sendEarly(this.#early)
    }
    this.pair.pump(wire)
    return this
  }

  /** Carries bytes, and gives one answer after the other, until there are neither. */
  pump(wire?: Wire): this {
    do this.pair.pump(wire)
    while (this.#answers.giveNext())
    return this
  }

  /** Frees the keys of both sides. */
  [Symbol.dispose](): void {
    this.pair[Symbol.dispose]()
  }
}
