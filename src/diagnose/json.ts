import type { CryptoProvider } from '../crypto/provider.ts'
import type {
  CertificateSummary,
  Fact,
  HandshakeExplanation,
  Settled,
  Stage,
  Step,
  Transition,
} from './explanation.ts'

/** The version of the document's shape; it grows when a field changes its meaning or goes. */
const FORMAT = 'handfast.handshake/1'

/** A value that JSON holds as it is. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/**
 * An explanation as a JSON document; docs/tls-tools.md describes its shape. Moments are ISO 8601 in UTC, spans are in
 * milliseconds. It holds no secrets.
 *
 * @param crypto for the certificates' fingerprints
 */
export function explanationToJson(
  explanation: HandshakeExplanation,
  crypto: Pick<CryptoProvider, 'digest'>,
): Json {
  const { perspective, outcome, establishedAfterMs, settled, stages, transitions, observer, failure } =
    explanation
  const { peer, ticket, ...parameters } = settled
  return {
    format: FORMAT,
    perspective,
    startedAt: isoTime(explanation.startedAtMs),
    outcome,
    ...(establishedAfterMs === undefined ? {} : { establishedAfterMs: micros(establishedAfterMs) }),
    settled: {
      ...parameters,
      ...(ticket === undefined ? {} : { ticket: ticketToJson(ticket) }),
      ...(peer === undefined ? {} : { peer: { name: peer.name, expiresAt: isoTime(peer.expiresAtMs) } }),
    },
    stages: stages.map((stage) => stageToJson(stage, crypto)),
    transitions: transitions.map(transitionToJson),
    observer: { saw: factsToJson(observer.saw), hidden: factsToJson(observer.hidden) },
    ...(failure === undefined ? {} : { failure: failureToJson(failure, crypto) }),
  }
}

function ticketToJson({ ageMs, ageSkewMs, ...rest }: NonNullable<Settled['ticket']>): Json {
  return {
    ...rest,
    ...(ageMs === undefined ? {} : { ageMs: micros(ageMs) }),
    ...(ageSkewMs === undefined ? {} : { ageSkewMs: micros(ageSkewMs) }),
  }
}

type Digest = Pick<CryptoProvider, 'digest'>

function stageToJson({ number, question, status, answer, steps }: Stage, crypto: Digest): Json {
  return {
    number,
    question,
    status,
    ...(answer === undefined ? {} : { answer }),
    steps: steps.map((step) => stepToJson(step, crypto)),
  }
}

function stepToJson(untimed: Step, crypto: Digest): Json {
  const step = { ...untimed, afterMs: micros(untimed.afterMs) }
  switch (step.kind) {
    case 'message': {
      const { facts, certificates, protection, ...rest } = step
      return {
        ...rest,
        protection,
        readableByObserver: protection === 'plaintext',
        facts: factsToJson(facts),
        ...(rest.name === 'Certificate'
          ? { certificates: certificates.map((certificate) => certificateToJson(certificate, crypto)) }
          : {}),
      }
    }
    case 'alert':
      return { ...step, readableByObserver: step.protection === 'plaintext' }
    case 'change_cipher_spec':
      return { ...step, legacy: true }
    case 'transition':
    case 'check':
    case 'note':
      return { ...step }
  }
}

function transitionToJson({ from, earlyAfterMs, handshakeAfterMs, applicationAfterMs }: Transition): Json {
  return {
    from,
    ...(earlyAfterMs === undefined ? {} : { earlyAfterMs: micros(earlyAfterMs) }),
    ...(handshakeAfterMs === undefined ? {} : { handshakeAfterMs: micros(handshakeAfterMs) }),
    ...(applicationAfterMs === undefined ? {} : { applicationAfterMs: micros(applicationAfterMs) }),
  }
}

/** Clocks give more digits than they know. */
function micros(spanMs: number): number {
  return Math.round(spanMs * 1_000) / 1_000
}

function factsToJson(facts: readonly Fact[]): Json {
  return facts.map(({ label, value, legacy }) => ({
    label,
    value,
    ...(legacy === undefined ? {} : { legacy }),
  }))
}

function failureToJson(failure: NonNullable<HandshakeExplanation['failure']>, crypto: Digest): Json {
  const { certificate, alert, refusedBy, afterMs, ...rest } = failure
  return {
    ...rest,
    afterMs: micros(afterMs),
    ...(refusedBy === undefined ? {} : { refusedBy }),
    ...(alert === undefined ? {} : { alert }),
    ...(certificate === undefined ? {} : { certificate: certificateToJson(certificate, crypto) }),
  }
}

function certificateToJson(summary: CertificateSummary, crypto: Digest): Json {
  const { subject, issuer, spiffeId, names, serial, notBeforeMs, notAfterMs, certificate } = summary
  return {
    subject,
    issuer,
    ...(spiffeId === undefined ? {} : { spiffeId }),
    names,
    serial,
    notBefore: isoTime(notBeforeMs),
    notAfter: isoTime(notAfterMs),
    sha256: crypto.digest('sha256', certificate.der).toHex(),
  }
}

/** Certificates may claim years that no Date holds. */
function isoTime(atMs: number): Json {
  const date = new Date(atMs)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}
