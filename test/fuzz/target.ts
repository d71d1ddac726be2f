import { HandfastError } from '../../src/errors.ts'
import type { Random } from '../support/mutations.ts'

/** Something that takes bytes from strangers. */
export interface FuzzTarget {
  readonly name: string
  /** Inputs that the target accepts, or nearly: others are made from them. At least one. */
  readonly seeds: readonly Uint8Array[]
  /**
   * Takes one input, which it may change, and tells what became of it: a code, and behind a colon what else tells this
   * way from others. Inputs that lead somewhere new are built upon.
   *
   * @throws whatever the layer under test may not throw, and {@link Violation}: that is a finding
   */
  run(input: Uint8Array<ArrayBuffer>): string
  /** How long one input may take the processor, in milliseconds. @default 100 */
  readonly maxInputMs?: number
  /** Makes another input, where inputs have a form of their own. @default bytes are changed as they come */
  mutate?(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array<ArrayBuffer>
}

/** Something happened that may never happen, though nothing was thrown. */
export class Violation extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'Violation'
  }
}

type ErrorClass = abstract new (...args: never[]) => HandfastError

/** What `act` says, or how it refused: by one of `refusals`. @throws whatever else `act` throws */
export function outcomeOf(act: () => string, ...refusals: readonly ErrorClass[]): string {
  try {
    return act()
  } catch (thrown) {
    if (thrown instanceof HandfastError && refusals.some((refusal) => thrown instanceof refusal))
      return `${(thrown as HandfastError).code}: ${shapeOf(thrown.message)}`
    throw thrown
  }
}

/** More of a message tells no more ways apart. */
const SHAPE_CHARACTERS = 100

/** A message without what differs from input to input. */
export function shapeOf(message: string): string {
  return message.slice(0, SHAPE_CHARACTERS).replaceAll(/"[^"]*"?|0x[0-9a-f]+|[0-9]+/g, '#')
}

/** A size, so coarse that few inputs differ in it. */
export function magnitude(count: number): number {
  return 32 - Math.clz32(count)
}
