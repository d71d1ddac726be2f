/** Memory that the fuzzer shares with whoever watches it: a hang can be seen only from outside. */
import { MAX_INPUT_BYTES } from './byte-mutator.ts'

const HEADER_BYTES = 12
const BEATS = 0
const TARGET = 1
const LENGTH = 2

/** What is under way. */
export interface Moment {
  readonly beats: number
  /** The index of the target; -1 before the first. */
  readonly target: number
  readonly input: Uint8Array
}

/** Which input is being tried, written by one thread and read by another. */
export class Heartbeat {
  readonly memory: SharedArrayBuffer
  readonly #header: Int32Array
  readonly #input: Uint8Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(HEADER_BYTES + MAX_INPUT_BYTES)) {
    this.memory = memory
    this.#header = new Int32Array(memory, 0, 3)
    this.#input = new Uint8Array(memory, HEADER_BYTES)
    if (Atomics.load(this.#header, BEATS) === 0) Atomics.store(this.#header, TARGET, -1)
  }

  /** Called before each input. */
  beat(target: number, input: Uint8Array): void {
    this.#input.set(input.subarray(0, MAX_INPUT_BYTES))
    this.#header[TARGET] = target
    this.#header[LENGTH] = Math.min(input.length, MAX_INPUT_BYTES)
    Atomics.add(this.#header, BEATS, 1)
  }

  read(): Moment {
    return {
      beats: Atomics.load(this.#header, BEATS),
      target: this.#header[TARGET]!,
      input: this.#input.slice(0, this.#header[LENGTH]),
    }
  }
}
