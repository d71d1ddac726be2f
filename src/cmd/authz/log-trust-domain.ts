import type { FlightLine } from '../../authz/flight/flight-line.ts'
import { UsageError } from '../errors.ts'
import { quoted } from '../flags.ts'

/** Whose namespaces policy means: what the operator says, or what the log does. */
export class TrustDomainOfLog {
  #name: string | undefined

  constructor(given: string | undefined) {
    this.#name = given
  }

  /** @throws UsageError when the log is of another trust domain */
  take(line: FlightLine): void {
    if (line.kind !== 'proxy') return
    this.#name ??= line.trustDomain
    if (line.trustDomain !== this.#name)
      throw new UsageError(
        `--log: expected the log of a proxy of ${this.#name}, got one of ${quoted(line.trustDomain)}`,
      )
  }

  /** @throws UsageError when nobody has said */
  get name(): string {
    if (this.#name !== undefined) return this.#name
    throw new UsageError(
      '--trust-domain: expected the name of one, because the log has no line that says it, got nothing',
    )
  }
}
