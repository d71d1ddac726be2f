/** Many inputs to one target, each bounded and watched. */
import { setImmediate as turn } from 'node:timers/promises'
import { toHex } from '../../src/bytes/bytes.ts'
import { messageOf } from '../../src/errors.ts'
import { collectGarbage } from '../support/garbage.ts'
import { seededRandom } from '../support/mutations.ts'
import { mutateBytes } from './byte-mutator.ts'
import { Corpus } from './corpus.ts'
import { shapeOf, type FuzzTarget } from './target.ts'

/** Honest inputs take a hundredth of it. */
const DEFAULT_MAX_INPUT_MS = 100

/** After so many the compilers, the caches and the corpus have what they need. */
const WARM_UP_INPUTS = 2000

/** Connections come and go over many turns of the event loop, and some resources are freed in the next one only. */
const INPUTS_IN_A_TURN = 256

/** More than the corpus and the counts can take, less than what a byte in every input would leave behind in an hour. */
const MAX_GROWTH_BYTES = 24 * 1024 * 1024

/** Enough to see what is wrong; a thousand more say the same. */
const MAX_FINDINGS = 10

export interface Finding {
  readonly target: string
  /** What was violated, for people. */
  readonly problem: string
  /** The input, in hexadecimal. */
  readonly input: string
  /** The seed of the campaign that came upon it. */
  readonly seed: number
}

export interface CampaignOptions {
  readonly seed: number
  /** @default no limit */
  readonly inputs?: number
  /** How long at most, in milliseconds. @default no limit */
  readonly forMs?: number
  /** Told of each input before the target gets it, so that whoever watches from outside knows which one hangs. */
  readonly announce?: (input: Uint8Array) => void
}

export interface CampaignReport {
  readonly target: string
  readonly inputs: number
  readonly seconds: number
  /** What of it was our own work on the processor. */
  readonly cpuSeconds: number
  /** How many ways through the target were told apart. */
  readonly outcomes: number
  /** Most frequent first. */
  readonly counts: readonly (readonly [code: string, count: number])[]
  readonly findings: readonly Finding[]
  /** The growth of the heap after warming up, in bytes. */
  readonly grownBytes: number
}

/** Feeds a target its seeds and then whatever can be made of them, until the inputs or the time run out. */
export async function runCampaign(target: FuzzTarget, options: CampaignOptions): Promise<CampaignReport> {
  const { seed, forMs = Infinity, announce } = options
  const maxInputs = options.inputs ?? Infinity
  const random = seededRandom(seed)
  const corpus = new Corpus(target.seeds)
  const mutate = target.mutate?.bind(target) ?? mutateBytes
  const findings = new Map<string, Finding>()
  const startedMs = performance.now()
  const startedCpu = process.threadCpuUsage()
  const progress = { inputs: 0 }
  let warmBytes: number | undefined

  const feed = async (input: Uint8Array): Promise<void> => {
    announce?.(input)
    const problem = tryInput(target, input, (outcome) => corpus.add(outcome, input))
    const inputs = ++progress.inputs
    if (inputs % INPUTS_IN_A_TURN === 0) await turn()
    if (inputs === WARM_UP_INPUTS) warmBytes = await heapBytes()
    if (problem !== undefined && findings.size < MAX_FINDINGS && !findings.has(shapeOf(problem)))
      findings.set(shapeOf(problem), { target: target.name, problem, input: toHex(input), seed })
  }
  for (const input of target.seeds) await feed(input)
  while (progress.inputs < maxInputs && performance.now() - startedMs < forMs)
    await feed(mutate(corpus.pick(random), corpus.pick(random), random))

  const { inputs } = progress
  const grownBytes = warmBytes === undefined ? 0 : (await heapBytes()) - warmBytes
  if (grownBytes > MAX_GROWTH_BYTES) {
    const problem = `The heap grew by ${grownBytes} bytes over ${inputs - WARM_UP_INPUTS} inputs`
    findings.set(problem, { target: target.name, problem, input: '', seed })
  }
  return {
    target: target.name,
    inputs,
    seconds: (performance.now() - startedMs) / 1000,
    cpuSeconds: cpuMs(startedCpu) / 1000,
    outcomes: corpus.outcomes,
    counts: [...corpus.counts].sort(([, a], [, b]) => b - a),
    findings: [...findings.values()],
    grownBytes,
  }
}

/** What is wrong with how the target takes an input; undefined when nothing is. */
export function tryInput(
  target: FuzzTarget,
  input: Uint8Array,
  note: (outcome: string) => void = () => undefined,
): string | undefined {
  const { maxInputMs = DEFAULT_MAX_INPUT_MS } = target
  const startedMs = performance.now()
  // Refusals are counted by the million; where they were thrown is of interest only for findings.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    note(target.run(new Uint8Array(input)))
  } catch (thrown) {
    return `Threw ${thrown instanceof Error ? thrown.name : typeof thrown}: ${messageOf(thrown)}`
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  return performance.now() - startedMs > maxInputMs ? confirmSlow(target, input, maxInputMs) : undefined
}

/** The clock on the wall also counts what others do with the processor, so the input gets more chances, by our own time. */
function confirmSlow(target: FuzzTarget, input: Uint8Array, maxInputMs: number): string | undefined {
  let leastMs = Infinity
  for (let chance = 0; chance < 3 && leastMs > maxInputMs; chance++) {
    const before = process.threadCpuUsage()
    target.run(new Uint8Array(input))
    leastMs = Math.min(leastMs, cpuMs(before))
  }
  return leastMs > maxInputMs ? `Took ${leastMs.toFixed(0)} ms, at most ${maxInputMs} are allowed` : undefined
}

function cpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(since)
  return (user + system) / 1000
}

async function heapBytes(): Promise<number> {
  await turn()
  collectGarbage()
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
