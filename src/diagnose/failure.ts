import { HandfastError } from '../errors.ts'
import { CertificateError } from '../pki/errors.ts'
import { TlsError } from '../tls/errors.ts'
import { alertMeaning } from './alerts.ts'
import { nameOfCertificate, summarise } from './certificates.ts'
import { otherSide, type CertificateSummary, type FailureExplanation, type Side } from './explanation.ts'
import type { FailureEntry } from './failure-entry.ts'
import { failureOf } from './failures.ts'
import type { Findings } from './findings.ts'
import { printable } from './printable.ts'
import { firstUnanswered } from './stages.ts'
import type { PlacedStep } from './steps.ts'
import { momentText, validityText } from './time-text.ts'

/** For codes that no table knows: the message has to do. */
const UNKNOWN: FailureEntry = {
  title: 'The handshake failed',
  explanation: 'The message is all that is known.',
  remedy: 'Look at the log of the peer at this time.',
}

/** Names the failure of a trace, if it ended in one. */
export function explainFailure(
  found: Findings,
  steps: readonly PlacedStep[],
): FailureExplanation | undefined {
  if (found.failed === undefined) return undefined
  const { error, atMs } = found.failed
  const cause = tellingCause(error)
  const row = failureOf(cause.code) ?? UNKNOWN
  const received =
    error instanceof TlsError && error.received !== undefined ? printable(error.received) : undefined
  const heard = received === undefined ? undefined : alertMeaning(received)
  const certificate = faultyCertificate(cause, found)
  const refusedBy = refuser(error, found.perspective)
  const alert = alertOf(received, refusedBy, steps)
  return {
    afterMs: atMs - found.startedAtMs,
    code: cause.code,
    title: heard === undefined ? row.title : `The ${otherSide(found.perspective)} refused`,
    message: printable(cause.message),
    stage: heard?.stage ?? row.stage ?? firstUnanswered(found),
    reached: reachedBefore(steps),
    ...(refusedBy === undefined ? {} : { refusedBy }),
    ...(alert === undefined ? {} : { alert }),
    evidence: evidenceOf(cause.code, { found, atMs, certificate, received }),
    explanation: heard === undefined ? row.explanation : `By its alert, ${heard.meaning}.${lateNote(found)}`,
    remedy: heard?.remedy ?? row.remedy,
    ...(certificate === undefined ? {} : { certificate }),
  }
}

/** The innermost cause that the taxonomy knows: the certificate's reason says more than that it was refused. */
function tellingCause(error: HandfastError): HandfastError {
  let telling: HandfastError = error
  let inner: unknown = error.cause
  while (inner instanceof HandfastError) {
    if (failureOf(inner.code) !== undefined) telling = inner
    inner = inner.cause
  }
  return telling
}

function faultyCertificate(cause: HandfastError, found: Findings): CertificateSummary | undefined {
  const peers = found.perspective === 'client' ? found.serverCertificate : found.clientCertificate
  const named = cause instanceof CertificateError ? cause.certificate : undefined
  const certificate = named ?? (cause instanceof CertificateError ? peers?.chain[0] : undefined)
  return certificate === undefined ? undefined : summarise(certificate)
}

/** Who gave up: the peer by its alert, or we; nobody when the network ended it. */
function refuser(error: HandfastError, perspective: Side): Side | undefined {
  if (!(error instanceof TlsError)) return undefined
  if (error.received !== undefined) return otherSide(perspective)
  return error.blame === 'transport' ? undefined : perspective
}

function alertOf(
  received: string | undefined,
  refusedBy: Side | undefined,
  steps: readonly PlacedStep[],
): FailureExplanation['alert'] {
  if (refusedBy === undefined) return undefined
  const step = steps.findLast(({ step }) => step.kind === 'alert' && step.from === refusedBy)?.step
  const description = step?.kind === 'alert' ? step.description : received
  return description === undefined ? undefined : { description, from: refusedBy }
}

function reachedBefore(steps: readonly PlacedStep[]): string {
  const last = steps.findLast(({ step }) => step.kind === 'message')?.step
  if (last?.kind !== 'message') return 'nothing: no handshake message was exchanged'
  return `${last.name} of the ${last.from} (#${last.order})`
}

/** RFC 8446 lets the client finish first: a refusal of its certificate reaches it when it already could send. */
function lateNote(found: Findings): string {
  return found.perspective === 'client' && found.established !== undefined
    ? ' In TLS 1.3 the client finishes first, so a refusal of its certificate comes after its own handshake is done.'
    : ''
}

interface Evidence {
  readonly found: Findings
  readonly atMs: number
  readonly certificate: CertificateSummary | undefined
  readonly received: string | undefined
}

function evidenceOf(code: string, { found, atMs, certificate, received }: Evidence): string[] {
  const lines: string[] = []
  if (certificate !== undefined) {
    lines.push(`certificate of ${nameOfCertificate(certificate)}, serial ${certificate.serial}`)
    lines.push(`issued by ${certificate.issuer}`)
    lines.push(`valid from ${momentText(certificate.notBeforeMs)}, ${validityText(certificate, atMs)}`)
  }
  if (code === 'PKI_EXPIRED' || code === 'PKI_NOT_YET_VALID')
    lines.push(`the clock of this machine says ${momentText(atMs)}`)
  if (code === 'PKI_NAME_MISMATCH' && certificate !== undefined)
    lines.push(
      `it is for ${[certificate.spiffeId ?? [], certificate.names].flat().join(', ') || 'no name at all'}`,
    )
  if (code === 'PKI_UNKNOWN_ISSUER' || code === 'PKI_UNTRUSTED_ROOT') lines.push(chainText(found))
  if (code === 'TLS_CERTIFICATE_REQUIRED')
    lines.push('the client answered CertificateRequest with an empty Certificate')
  return [...lines, ...offersOf(code, found), ...shownToPeer(received, { found, atMs })]
}

function chainText(found: Findings): string {
  const chain =
    (found.perspective === 'client' ? found.serverCertificate : found.clientCertificate)?.chain ?? []
  const names = chain.map((certificate) => nameOfCertificate(summarise(certificate)))
  return `the ${otherSide(found.perspective)} sent ${chain.length === 1 ? '1 certificate' : `${chain.length} certificates`}: ${names.join(', ')}`
}

/** What the client offered, where nothing of it fitted. */
function offersOf(code: string, { clientHello }: Findings): string[] {
  if (clientHello === undefined) return []
  const offered: Readonly<Record<string, readonly string[] | undefined>> = {
    TLS_NO_COMMON_VERSION: clientHello.versions,
    TLS_NO_COMMON_SUITE: clientHello.cipherSuites,
    TLS_NO_COMMON_GROUP: clientHello.groups,
    TLS_NO_COMMON_SIGNATURE_SCHEME: clientHello.signatureSchemes,
    TLS_NO_APPLICATION_PROTOCOL: clientHello.alpn,
    TLS_UNRECOGNIZED_NAME: clientHello.serverName === undefined ? [] : [clientHello.serverName],
  }
  const list = Object.hasOwn(offered, code) ? (offered[code] ?? []) : undefined
  if (list === undefined) return []
  return [`the client ${list.length === 0 ? 'names none' : `names ${list.map(printable).join(', ')}`}`]
}

/** When the peer refuses by a word about certificates, ours is what it looked at. */
function shownToPeer(
  received: string | undefined,
  { found, atMs }: { readonly found: Findings; readonly atMs: number },
): string[] {
  if (received === undefined || alertMeaning(received).stage !== 3) return []
  const ours = found.perspective === 'client' ? found.clientCertificate : found.serverCertificate
  if (ours === undefined) return []
  const leaf = ours.chain[0]
  if (leaf === undefined) return ['our side showed no certificate']
  const summary = summarise(leaf)
  return [
    `our side showed ${nameOfCertificate(summary)}, issued by ${summary.issuer}`,
    `valid from ${momentText(summary.notBeforeMs)}, ${validityText(summary, atMs)}`,
  ]
}
