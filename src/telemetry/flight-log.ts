import { encodeFlightLine } from '../authz/flight/encode.ts'
import type { FlightDecision, FlightShadow } from '../authz/flight/flight-line.ts'
import type { Permit } from '../authz/decide.ts'
import type { Denial, DryRunOutcome } from '../authz/decision.ts'
import type { PolicyReads } from '../authz/policy-reads.ts'
import type { AuthorizationRequest } from '../authz/request.ts'
import type { Address } from '../config/address.ts'
import { flightRequest } from './flight-request.ts'
import { Ring } from './ring.ts'

/** Decisions that can be looked up by id; at some 500 bytes each a megabyte at most. */
const KEPT_DECISIONS = 2_048

/** Where and when a decision was made. */
export interface FlightPlace {
  readonly atMs: number
  /** The id of the handshake that proved the principal. */
  readonly connection: number
  /** The listener's name. */
  readonly listener: string
  readonly source: Address
  /** What policy that decided reads. */
  readonly reads: PolicyReads
  /** Whether it is about something that was under way already. */
  readonly again?: true
}

/** A decision as the ring keeps it: what is told of it is worked out when somebody asks. */
interface Entry extends FlightPlace {
  readonly seq: number
  /** Without what only an explanation needs: it would keep policies alive that are no longer in force. */
  readonly decision: Omit<FlightDecision, 'kind' | 'request' | 'thread' | 'seq' | keyof FlightPlace>
  readonly request: AuthorizationRequest
}

/** A decision that was looked up, with the request to explain it by. */
export interface FoundDecision {
  readonly decision: FlightDecision
  /** As policy saw it, credentials included. */
  readonly request: AuthorizationRequest
}

/** The last decisions of a thread, for whoever comes with an id, and every further one for whoever follows. */
export class FlightLog {
  readonly #thread: number
  readonly #ring = new Ring<Entry>(KEPT_DECISIONS)
  #seq = 0
  #follower: ((line: string) => void) | undefined

  /** @param thread its number. @default 0 */
  constructor(thread = 0) {
    this.#thread = thread
  }

  add(decision: Permit | Denial, place: FlightPlace): void {
    const { kind, id, revision, cause, reason, policy, rule, request, audited, dryRun } = decision
    const entry: Entry = {
      ...place,
      seq: ++this.#seq,
      decision: {
        id,
        verdict: kind,
        cause,
        reason,
        ...(policy !== undefined && { policy }),
        ...(rule !== undefined && { rule }),
        revision,
        ...(dryRun && { trial: trialOf(dryRun) }),
        ...(audited && { audits: audited }),
      },
      request,
    }
    this.#ring.add(entry)
    this.#follower?.(encodeFlightLine(this.#told(entry)))
  }

  /** Oldest first. */
  list(): readonly FlightDecision[] {
    return this.#ring.entries.map((entry) => this.#told(entry))
  }

  find(id: string): FoundDecision | undefined {
    const entry = this.#ring.entries.find(({ decision }) => decision.id === id)
    return entry && { decision: this.#told(entry), request: entry.request }
  }

  /** Gives every further decision, as its line, to `follower`; undefined: to nobody. */
  follow(follower: ((line: string) => void) | undefined): void {
    this.#follower = follower
  }

  #told({ atMs, seq, connection, listener, again, decision, request, source, reads }: Entry): FlightDecision {
    return {
      kind: 'decision',
      atMs,
      thread: this.#thread,
      seq,
      connection,
      listener,
      request: flightRequest(request, { source, reads }),
      ...decision,
      ...(again && { again }),
    }
  }
}

function trialOf({ kind, cause, policy, rule }: DryRunOutcome): FlightShadow {
  return {
    verdict: kind,
    cause,
    ...(policy !== undefined && { policy }),
    ...(rule !== undefined && { rule }),
  }
}
