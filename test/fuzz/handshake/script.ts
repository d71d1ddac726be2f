/** The inputs of handshake targets: which handshake, and what to do to which of its flights. */
import { concat } from '../../../src/bytes/bytes.ts'
import type { Random } from '../../support/mutations.ts'

/** An edit of one delivery of the disturbed side. */
export interface Step {
  /** Which of its deliveries, from zero. */
  readonly delivery: number
  readonly edit: number
  /** What the edit draws from. */
  readonly seed: number
}

/** How a run ends: with goodbyes, or while answers may be waited for by a transport that breaks off or an owner who leaves. */
export type Ending = 'orderly' | 'broken off' | 'left'

const ENDINGS: readonly Ending[] = ['orderly', 'broken off', 'left']

export interface Script {
  readonly scenario: number
  /** Whether hashes and MACs are computed. */
  readonly hashes: boolean
  readonly ending: Ending
  readonly steps: readonly Step[]
}

const HEADER_BYTES = 2
const STEP_BYTES = 6

/** More of them only bury each other. */
const MAX_STEPS = 8

/** A client makes up to seven deliveries in a run, a server six: hellos, Finished, data, new keys, close. */
const MAX_DELIVERIES = 7

/** The script without steps. */
export function emptyScript(scenario: number, hashes: boolean, ending: Ending = 'orderly'): Uint8Array {
  return Uint8Array.of(scenario, (ENDINGS.indexOf(ending) << 1) | (hashes ? 1 : 0))
}

export function readScript(input: Uint8Array): Script {
  const steps: Step[] = []
  for (let at = HEADER_BYTES; at + STEP_BYTES <= input.length && steps.length < MAX_STEPS; at += STEP_BYTES) {
    const seed = new DataView(input.buffer, input.byteOffset).getUint32(at + 2)
    steps.push({ delivery: input[at]! % MAX_DELIVERIES, edit: input[at + 1]!, seed })
  }
  const way = input[1] ?? 0
  const ending = ENDINGS[(way >>> 1) % ENDINGS.length]!
  return { scenario: input[0] ?? 0, hashes: (way & 1) === 1, ending, steps }
}

/** Another script: a step more, less or changed, another handshake, or the steps of both. */
export function mutateScript(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const at = HEADER_BYTES + STEP_BYTES * random(1 + Math.floor((input.length - HEADER_BYTES) / STEP_BYTES))
  const [head, tail] = [input.subarray(0, at), input.subarray(at)]
  const changed = ((): Uint8Array<ArrayBuffer> => {
    switch (random(8)) {
      case 0:
        return concat(head, tail.subarray(STEP_BYTES))
      case 1:
        return concat(Uint8Array.of(random(256), randomWay(random)), input.subarray(HEADER_BYTES))
      case 2:
        return concat(head, other.subarray(HEADER_BYTES))
      case 3:
      case 4:
        return concat(head, randomStep(random), tail.subarray(STEP_BYTES))
      default:
        return concat(head, randomStep(random), tail)
    }
  })()
  return changed.slice(0, HEADER_BYTES + MAX_STEPS * STEP_BYTES)
}

/** Mostly orderly: what breaks off early shows less. */
function randomWay(random: Random): number {
  return random(4) === 0 ? random(2 * ENDINGS.length) : random(2)
}

function randomStep(random: Random): Uint8Array {
  // The first deliveries are those of the handshake.
  const delivery = random(2) === 0 ? random(3) : random(MAX_DELIVERIES)
  return Uint8Array.of(delivery, ...Array.from({ length: STEP_BYTES - 1 }, () => random(256)))
}
