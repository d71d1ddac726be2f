import { isPostQuantum } from '../crypto/groups.ts'
import type { HandfastError } from '../errors.ts'
import type { TicketOutcome, TraceEvent } from '../tls/trace.ts'
import {
  otherSide,
  type FailureExplanation,
  type HandshakeExplanation,
  type Settled,
  type Side,
  type Transition,
} from './explanation.ts'
import { explainFailure } from './failure.ts'
import { countedHello, findingsOf, type Findings } from './findings.ts'
import { identityText } from './identity-text.ts'
import { observe } from './observer.ts'
import { printable } from './printable.ts'
import { stagesOf } from './stages.ts'
import { stepsOf, type PlacedStep } from './steps.ts'

/**
 * Explains a handshake as the negotiation it is: five questions, each with what was said, checked and settled.
 *
 * @param events of one connection, in order, as far as it came
 * @param perspective whose events they are
 * @param ended what ended the connection, where the events do not say it: a network that failed, a deadline
 */
export function explainHandshake(
  events: readonly TraceEvent[],
  perspective: Side,
  ended?: HandfastError,
): HandshakeExplanation {
  const steps = stepsOf(events, perspective)
  const found = findingsOf(events, perspective, ended)
  const failure = explainFailure(found, steps)
  return {
    perspective,
    startedAtMs: found.startedAtMs,
    outcome: outcomeOf(found, failure),
    ...(found.established === undefined
      ? {}
      : { establishedAfterMs: found.established.atMs - found.startedAtMs }),
    settled: settledOf(found),
    stages: stagesOf(steps, found, failure),
    transitions: [transitionOf('client', steps), transitionOf('server', steps)],
    observer: observe(found, steps),
    ...(failure === undefined ? {} : { failure }),
  }
}

/** A client that was established and then hears that the server refuses its certificate never was, for the server. */
function outcomeOf(
  found: Findings,
  failure: FailureExplanation | undefined,
): HandshakeExplanation['outcome'] {
  if (failure === undefined) return found.established === undefined ? 'unfinished' : 'established'
  if (found.established === undefined) return 'refused'
  return failure.refusedBy === otherSide(found.perspective) && failure.stage < 5 ? 'refused' : 'broken'
}

function settledOf(found: Findings): Settled {
  const { agreed, encryptedExtensions, identity, ech, retry, ticket } = found
  const { earlyData, earlyBytes, keyUpdates } = found
  const serverName = countedHello(found)?.serverName
  const alpn = encryptedExtensions?.alpn
  return {
    ...(agreed === undefined
      ? {}
      : {
          version: agreed.version,
          cipherSuite: agreed.cipherSuite,
          group: agreed.group,
          postQuantum: isPostQuantum(agreed.group),
          resumed: agreed.resumed,
        }),
    ...(agreed?.externalPsk === undefined ? {} : { externalPsk: identityText(agreed.externalPsk) }),
    ...(retry === undefined
      ? {}
      : { retry: { group: printable(retry.retryGroup!), cookie: retry.cookieBytes !== undefined } }),
    ...(ticket === undefined ? {} : { ticket: settledTicket(ticket) }),
    ...(earlyData === undefined ? {} : { earlyData: { outcome: earlyData, bytes: earlyBytes } }),
    ...(serverName === undefined ? {} : { serverName: printable(serverName) }),
    ...(alpn === undefined ? {} : { alpn: printable(alpn) }),
    ...(ech === undefined ? {} : { ech }),
    ...(keyUpdates.client + keyUpdates.server === 0 ? {} : { keyUpdates }),
    ...(identity === undefined
      ? {}
      : { peer: { name: printable(identity.name), expiresAtMs: identity.expiresAtMs } }),
  }
}

function settledTicket(ticket: TicketOutcome): NonNullable<Settled['ticket']> {
  const { outcome } = ticket
  if (outcome === 'withheld' || outcome === 'refused') return { outcome, reason: ticket.reason }
  if (outcome === 'offered') return { outcome, ageMs: ticket.ageMs }
  const { ageMs, ageSkewMs } = ticket
  return { outcome, ageMs, ...(ageSkewMs === undefined ? {} : { ageSkewMs }) }
}

function transitionOf(from: Side, steps: readonly PlacedStep[]): Transition {
  const of = (to: 'early' | 'handshake' | 'application'): number | undefined =>
    steps.find(({ step }) => step.kind === 'transition' && step.from === from && step.to === to)?.step.afterMs
  const earlyAfterMs = of('early')
  const handshakeAfterMs = of('handshake')
  const applicationAfterMs = of('application')
  return {
    from,
    ...(earlyAfterMs === undefined ? {} : { earlyAfterMs }),
    ...(handshakeAfterMs === undefined ? {} : { handshakeAfterMs }),
    ...(applicationAfterMs === undefined ? {} : { applicationAfterMs }),
  }
}
