import { isPostQuantum } from '../crypto/groups.ts'
import { nameOfCertificate, summarise } from './certificates.ts'
import {
  otherSide,
  QUESTIONS,
  type FailureExplanation,
  type Side,
  type Stage,
  type StageNumber,
} from './explanation.ts'
import { countedHello, type Findings } from './findings.ts'
import { identityText } from './identity-text.ts'
import { printable } from './printable.ts'
import type { PlacedStep } from './steps.ts'
import { millisecondsText } from './time-text.ts'

/** The five stages with their steps, each answered, failed or open. */
export function stagesOf(
  steps: readonly PlacedStep[],
  found: Findings,
  failure: FailureExplanation | undefined,
): Stage[] {
  return QUESTIONS.map((_, index) => stageOf((index + 1) as StageNumber, steps, { found, failure }))
}

/** The first stage that the trace does not answer; the last when all are. */
export function firstUnanswered(found: Findings): StageNumber {
  for (const number of [1, 2, 3, 4] as const) if (answerOf(number, found) === undefined) return number
  return 5
}

interface Ending {
  readonly found: Findings
  readonly failure: FailureExplanation | undefined
}

function stageOf(number: StageNumber, steps: readonly PlacedStep[], ending: Ending): Stage {
  const { found, failure } = ending
  const own = steps.filter(({ stage }) => (stage ?? failure?.stage ?? 5) === number).map(({ step }) => step)
  return {
    number,
    question: QUESTIONS[number - 1]!,
    ...judge(number, answerOf(number, found), ending),
    steps: own,
  }
}

function judge(
  number: StageNumber,
  answer: string | undefined,
  { found, failure }: Ending,
): Pick<Stage, 'status' | 'answer'> {
  if (failure?.stage === number) return { status: 'failed', answer: failure.title }
  if (answer === undefined) return { status: 'open' }
  const peer = otherSide(found.perspective)
  if (number === 5 && failure?.refusedBy === peer)
    return {
      status: 'open',
      answer: `${answer} for the ${found.perspective}, and for the ${peer} never: it refused`,
    }
  return { status: 'answered', answer }
}

function answerOf(number: StageNumber, found: Findings): string | undefined {
  switch (number) {
    case 1:
      return parameters(found)
    case 2:
      return found.handshakeKeys && found.agreed !== undefined
        ? `by ${groupText(found.agreed.group)}, with secrets of their own for each phase and direction`
        : undefined
    case 3:
      return identities(found)
    case 4:
      return found.transcript ? 'no: both sides agree on everything said' : undefined
    case 5:
      return found.established === undefined
        ? undefined
        : `after ${millisecondsText(found.established.atMs - found.startedAtMs)}${earlyText(found)}`
  }
}

function parameters(found: Findings): string | undefined {
  const { agreed, encryptedExtensions, ech } = found
  if (agreed === undefined) return undefined
  const parts: string[] = [agreed.version, agreed.cipherSuite]
  if (encryptedExtensions?.alpn !== undefined) parts.push(`ALPN ${printable(encryptedExtensions.alpn)}`)
  const serverName = countedHello(found)?.serverName
  if (serverName !== undefined) parts.push(`server name ${printable(serverName)}`)
  if (found.retry !== undefined) parts.push('after a HelloRetryRequest')
  if (ech === 'accepted') parts.push('ECH accepted')
  if (ech === 'rejected') parts.push('ECH rejected')
  return parts.join(', ')
}

/** Traffic recorded today stays closed to a quantum computer only under a group that resists one. */
function groupText(group: string): string {
  if (!isPostQuantum(group)) return group
  return group.startsWith('MLKEM') ? `${group} (post-quantum)` : `${group} (post-quantum hybrid)`
}

function identities(found: Findings): string | undefined {
  const { perspective, identity, possession, established } = found
  const peer = otherSide(perspective)
  if (identity !== undefined && possession !== undefined) {
    const shown = shownBy(found, perspective)
    const us = shown === undefined ? '' : `; the ${perspective} shows ${shown}`
    return `the ${peer} is ${printable(identity.name)}${us}`
  }
  const externalPsk = found.agreed?.externalPsk
  if (externalPsk !== undefined)
    return found.transcript
      ? `not by name: both hold the pre-shared key ${identityText(externalPsk)}${found.agreed?.resumed === true ? ', as an earlier handshake proved' : ''}; no certificate is shown`
      : undefined
  if (found.agreed?.resumed === true) return found.transcript ? resumedText(found) : undefined
  // A client always verifies; a server's client may be a stranger by configuration.
  if (perspective === 'client' || established === undefined) return undefined
  const shown = shownBy(found, 'server') ?? 'its certificate'
  const client = found.certificateRequested ? 'showed no certificate' : 'was not asked'
  return `the server shows ${shown}; the client ${client}`
}

/** Resumption saves the proof, not the trust. */
function resumedText({ perspective, identity }: Findings): string {
  if (identity !== undefined)
    return `the ${otherSide(perspective)} is ${printable(identity.name)}, as an earlier handshake proved: this one resumes it`
  return perspective === 'client'
    ? 'as an earlier handshake proved: this one resumes it, which saves the proof, not the trust'
    : 'this handshake resumes an earlier one, whose client showed no certificate'
}

function earlyText({ earlyData, earlyBytes }: Findings): string {
  return earlyData === 'accepted' ? `, and ${earlyBytes} bytes of early data before that` : ''
}

function shownBy(found: Findings, side: Side): string | undefined {
  const leaf = (side === 'client' ? found.clientCertificate : found.serverCertificate)?.chain[0]
  return leaf === undefined ? undefined : nameOfCertificate(summarise(leaf))
}
