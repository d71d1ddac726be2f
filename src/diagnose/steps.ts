import type { ClientHelloDetails, Direction, TraceEvent } from '../tls/trace.ts'
import { summarise, nameOfCertificate } from './certificates.ts'
import { otherSide, type Side, type StageNumber, type Step } from './explanation.ts'
import { factsOf, messageName, retryReason } from './facts.ts'
import { identityText } from './identity-text.ts'
import { printable } from './printable.ts'
import { earlyDataText, ticketText } from './resumption-text.ts'
import { durationText } from './time-text.ts'

/** A step and the question that it helps to answer. */
export interface PlacedStep {
  /** Absent for an alert that ends a handshake: its stage is that of the failure. */
  readonly stage?: StageNumber
  readonly step: Step
}

/** The stage of every handshake message; those not listed come when data may flow. */
const MESSAGE_STAGES: Readonly<Record<string, StageNumber>> = {
  client_hello: 1,
  server_hello: 1,
  encrypted_extensions: 1,
  certificate_request: 3,
  certificate: 3,
  compressed_certificate: 3,
  certificate_verify: 3,
  finished: 4,
}

/** Every event as a step, in order of time. */
export function stepsOf(events: readonly TraceEvent[], perspective: Side): PlacedStep[] {
  const startedAtMs = events[0]?.atMs ?? 0
  const steps: PlacedStep[] = []
  let order = 0
  let lastHello: ClientHelloDetails | undefined
  for (const event of withoutEchoes(events)) {
    if (event.kind === 'message' || event.kind === 'alert' || event.kind === 'closed') order++
    if (event.kind === 'message' && event.details.message === 'client_hello') lastHello = event.details
    const placed = place(event, { perspective, order, afterMs: event.atMs - startedAtMs, lastHello })
    if (placed !== undefined) steps.push(placed)
  }
  return steps
}

/** A half that closed stands for its close_notify, unless the alert is in the trace itself. */
function withoutEchoes(events: readonly TraceEvent[]): readonly TraceEvent[] {
  return events.filter(
    (event, index) =>
      event.kind !== 'closed' ||
      !events.some(
        (other, place) =>
          place < index &&
          other.kind === 'alert' &&
          other.description === 'close_notify' &&
          other.direction === event.direction,
      ),
  )
}

/** Who speaks in an event of our trace. */
export function speakerOf(direction: Direction, perspective: Side): Side {
  return direction === 'sent' ? perspective : otherSide(perspective)
}

interface Placing {
  readonly perspective: Side
  readonly order: number
  readonly afterMs: number
  readonly lastHello: ClientHelloDetails | undefined
}

function place(
  event: TraceEvent,
  { perspective, order, afterMs, lastHello }: Placing,
): PlacedStep | undefined {
  const peer = otherSide(perspective)
  switch (event.kind) {
    case 'message': {
      const from = speakerOf(event.direction, perspective)
      const { details, bytes, protection } = event
      const certificates = details.message === 'certificate' ? details.chain.map(summarise) : []
      const isRetry = details.message === 'server_hello' && details.retryGroup !== undefined
      const facts = isRetry
        ? retryReason(details, lastHello).concat(factsOf(details, from))
        : factsOf(details, from)
      const name = isRetry ? 'HelloRetryRequest' : messageName(event.type)
      return {
        stage: MESSAGE_STAGES[event.type] ?? 5,
        step: { kind: 'message', afterMs, order, from, name, bytes, protection, facts, certificates },
      }
    }
    case 'alert': {
      const from = speakerOf(event.direction, perspective)
      const { description, protection } = event
      const step = {
        kind: 'alert',
        afterMs,
        order,
        from,
        description: printable(description),
        protection,
      } as const
      return description === 'close_notify' ? { stage: 5, step } : { step }
    }
    case 'change_cipher_spec':
      return {
        stage: 2,
        step: { kind: 'change_cipher_spec', afterMs, from: speakerOf(event.direction, perspective) },
      }
    case 'keys':
      return {
        stage: event.protection === 'handshake' ? 2 : 5,
        step: {
          kind: 'transition',
          afterMs,
          from: speakerOf(event.direction, perspective),
          to: event.protection,
        },
      }
    case 'agreed':
      return check(
        2,
        event.resumed
          ? `both mix the secret of an earlier session with that of the two public ${event.group} shares`
          : event.externalPsk !== undefined
            ? `both mix the pre-shared key ${identityText(event.externalPsk)} with the secret of the two public ${event.group} shares`
            : `both derive the same secret from the two public ${event.group} shares; neither sends it`,
      )
    case 'identity': {
      const left = durationText(event.expiresAtMs - event.atMs)
      const anchor = event.path.at(-1)
      if (anchor === undefined)
        return check(
          3,
          `the ${peer} is ${printable(event.name)}: its raw public key is one that is accepted, for ${left}`,
        )
      const under = `, under ${nameOfCertificate(summarise(anchor))}`
      if (event.rejudged === true)
        return check(
          3,
          `the ${peer} is ${printable(event.name)}, as an earlier handshake proved; judged again now, chain and validity hold for ${left}${under}`,
        )
      return check(
        3,
        `the ${peer} is ${printable(event.name)}: name, chain and validity hold for ${left}${under}`,
      )
    }
    case 'possession':
      return check(3, `the ${peer} holds the key of its certificate: its signature fits this handshake`)
    case 'transcript':
      return check(4, `the ${peer}'s Finished matches: both sides saw the same messages, bit for bit`)
    case 'established':
      return check(5, 'the other side is verified and the talk unaltered: application data may flow')
    case 'closed': {
      const from = speakerOf(event.direction, perspective)
      return {
        stage: 5,
        step: { kind: 'alert', afterMs, order, from, description: 'close_notify', protection: 'application' },
      }
    }
    case 'ticket': {
      const text = ticketText(event, perspective, event.atMs)
      return event.outcome === 'offered' || event.outcome === 'accepted' ? check(3, text) : note(3, text)
    }
    case 'early_data': {
      const text = earlyDataText(event.outcome, perspective)
      return event.outcome === 'accepted' ? check(5, text) : note(5, text)
    }
    case 'early_bytes':
      return event.direction === 'sent'
        ? note(5, `${event.bytes} bytes went out early, before the server was known`)
        : note(5, `${event.bytes} bytes were delivered as early data, apart from the rest`)
    case 'inner_hello':
      return check(1, innerHelloText(event.details))
    case 'ech': {
      const text = echText(event, perspective)
      return event.outcome === 'offered' || event.outcome === 'accepted' ? check(1, text) : note(1, text)
    }
    case 'failed':
      return undefined
  }

  function check(stage: StageNumber, text: string): PlacedStep {
    return { stage, step: { kind: 'check', afterMs, text } }
  }

  function note(stage: StageNumber, text: string): PlacedStep {
    return { stage, step: { kind: 'note', afterMs, text } }
  }
}

function innerHelloText({ serverName }: ClientHelloDetails): string {
  const asked = serverName === undefined ? 'names no server' : `asks for ${printable(serverName)}`
  return `the ClientHello inside, which only the two ends can read, ${asked}`
}

function echText({ outcome, publicName }: Extract<TraceEvent, { kind: 'ech' }>, perspective: Side): string {
  const shown = publicName === undefined ? 'the public name' : printable(publicName)
  switch (outcome) {
    case 'offered':
      return `the ClientHello is encrypted (ECH) inside another one, which names ${shown} for all to see`
    case 'greased':
      return 'an extension looks like an encrypted ClientHello and is not: the server name is in the clear'
    case 'accepted':
      return perspective === 'client'
        ? 'the server has read the encrypted ClientHello, and confirmed it in a way that only we notice'
        : 'the encrypted ClientHello could be read: it counts instead of the one around it'
    case 'rejected':
      return perspective === 'client'
        ? `the server has not read the encrypted ClientHello: it must now prove to be ${shown}`
        : 'there is an encrypted ClientHello that none of our keys opens, or that only looks like one'
  }
}
