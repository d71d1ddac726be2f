import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { LoadResult, Workload } from './load/workload.ts'
import type { Pair } from './pairs/pair.ts'
import { rowsOf, type Measurement, type MemoryRow, type Row } from './report/rows.ts'
import { cpuSeconds, memoryOf, type Memory } from './support/proc.ts'
import { Program } from './support/program.ts'

const LOAD = join(import.meta.dirname, 'load/load.ts')

/** Unmeasured load before the first round, for the compilers of all processes. */
const WARM_UP_SECONDS = 1

/** How long proxies rest before their idle memory is looked at: what starting up took has been given back by then. */
const REST_MS = 12_000

/** Files that a proxy has open beside its connections. */
const SPARE_FILES = 200

/** What answers under way, and a machine that is busy, may take beyond a workload's time. */
const SPARE_MS = 30_000

/** How long it may take to open all idle connections, handshakes and all. */
const HOLD_MS = 120_000

export interface Results {
  readonly rows: readonly Row[]
  readonly memory: readonly MemoryRow[]
  /** Every single measurement. */
  readonly measurements: readonly Measurement[]
}

/** Puts every workload on every pair that it is for, in interleaved rounds. */
export async function measureAll(
  pairs: readonly Pair[],
  { workloads, rounds }: { readonly workloads: readonly Workload[]; readonly rounds: number },
): Promise<Results> {
  const timed = workloads.filter(({ mode }) => mode !== 'idle')
  const idle = workloads.find(({ mode }) => mode === 'idle')
  const measurements: Measurement[] = []
  await pause(REST_MS)
  const fresh = new Map(pairs.map((pair) => [pair, memoryOfBoth(pair)]))
  for (const pair of pairs) {
    for (const workload of timed)
      if (isFor(pair, workload)) await measureOnce(pair, { ...workload, seconds: WARM_UP_SECONDS })
  }
  for (let round = 0; round < rounds; round++) {
    for (const workload of timed) {
      for (const pair of inTurn(pairs, round))
        if (isFor(pair, workload)) measurements.push(await measureOnce(pair, workload))
    }
  }
  const memory: MemoryRow[] = []
  for (const pair of pairs) {
    const [before, after] = [fresh.get(pair), memoryOfBoth(pair)]
    if (before === undefined || after === undefined || !pair.workloads.includes('requests')) continue
    memory.push({
      pair: pair.name,
      ...before,
      loadedResidentMiB: after.residentMiB,
      loadedPrivateMiB: after.privateMiB,
      ...(idle !== undefined && isFor(pair, idle) && (await hold(pair, idle))),
    })
  }
  const order = new Map(pairs.map(({ name }, place) => [name, place]))
  const sorted = measurements.toSorted((a, b) => order.get(a.pair)! - order.get(b.pair)!)
  return { rows: rowsOf(sorted, workloads), memory, measurements }
}

function isFor({ workloads }: Pair, { name }: Workload): boolean {
  return workloads.includes(name)
}

/** Another pair begins each round, so that none always follows the same one. */
function inTurn(pairs: readonly Pair[], round: number): readonly Pair[] {
  const first = round % pairs.length
  return [...pairs.slice(first), ...pairs.slice(0, first)]
}

async function measureOnce(pair: Pair, workload: Workload): Promise<Measurement> {
  await using program = startLoad(pair, workload)
  await program.line((line) => line['began'] === true)
  const before = cpuOfBoth(pair)
  const collectedBefore = await pair.collections?.()
  const patienceMs = 1000 * workload.seconds + SPARE_MS
  const result = await program.line((line) => line['answers'] !== undefined, patienceMs)
  const after = cpuOfBoth(pair)
  const collected = await pair.collections?.()
  return {
    pair: pair.name,
    workload: workload.name,
    ...(result as unknown as LoadResult),
    ...(before !== undefined && after !== undefined && { cpuSeconds: after - before }),
    ...(collectedBefore &&
      collected && {
        collections: collected.count - collectedBefore.count,
        collectionMs: collected.milliseconds - collectedBefore.milliseconds,
        longCollections: collected.long - collectedBefore.long,
      }),
  }
}

function startLoad({ port }: Pair, { mode, seconds, connections, rate = 0 }: Workload): Program {
  const args = [port, mode, seconds, connections, rate].map(String)
  return new Program('load', [process.execPath, LOAD, ...args])
}

/** Holds idle connections, as many as the limit of open files lets a proxy have, and looks at what each costs. */
async function hold(
  pair: Pair,
  { mode, connections }: Workload,
): Promise<Pick<MemoryRow, 'held' | 'perConnectionKiB'>> {
  const count = Math.min(connections, Math.floor((openFilesLimit() - SPARE_FILES) / 2))
  const before = memoryOfBoth(pair)!
  const args = [pair.port, mode, 0, count].map(String)
  await using program = new Program('load', [process.execPath, LOAD, ...args], 'pipe')
  const { held } = await program.line((line) => line['held'] !== undefined, HOLD_MS)
  await pause(REST_MS)
  const after = memoryOfBoth(pair)!
  await program.finish()
  return { held: held as number, perConnectionKiB: (1024 * (after.privateMiB - before.privateMiB)) / count }
}

function openFilesLimit(): number {
  return Number(execFileSync('/bin/sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }))
}

function cpuOfBoth({ proxies }: Pair): number | undefined {
  const [a, b] = proxies.map(({ pid }) => cpuSeconds(pid))
  return a === undefined || b === undefined ? undefined : a + b
}

/** The mean of both proxies. */
function memoryOfBoth({ proxies }: Pair): Memory | undefined {
  const [a, b] = proxies.map(({ pid }) => memoryOf(pid))
  if (a === undefined || b === undefined) return undefined
  return {
    residentMiB: (a.residentMiB + b.residentMiB) / 2,
    privateMiB: (a.privateMiB + b.privateMiB) / 2,
  }
}
