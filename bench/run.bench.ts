/**
 * Proxy pairs side by side in one run: client → A = mutual TLS 1.3 = B → backend, with A and B two `handfast proxy` or two proxies of
 * node:tls. Rounds are interleaved and medians shown; only the ratios mean anything on another machine.
 *
 * `node bench/run.bench.ts [--json FILE] [--rounds N] [--log-level LEVEL] [--workload NAME] [--node-args=ARGS]`
 */
import { globSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { handfastPair, startController } from './support/handfast-pairs.ts'
import { nodeTlsPair } from './support/node-tls-pair.ts'
import type { Pair } from './support/pair.ts'
import { cpuSeconds, Program, residentMiB, runToEnd } from './support/program.ts'
import { rowsOf, tableOf, type Measurement } from './support/report.ts'
import { WORKLOADS, type LoadResult, type Workload } from './support/workload.ts'

const SUPPORT = join(import.meta.dirname, 'support')

/** Unmeasured load before the first round, for the compilers of all processes. */
const WARM_UP_SECONDS = 0.7

const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    'log-level': { type: 'string', default: 'warn' },
    /** Only this one, and no micro benches. */
    workload: { type: 'string' },
    /** What goes to Node before the proxies' script, such as --cpu-prof. */
    'node-args': { type: 'string', default: '' },
  },
})

const directory = await mkdtemp(join(tmpdir(), 'handfast-bench-'))
try {
  await using programs = new AsyncDisposableStack()
  const pairs = await startPairs(programs)
  const measurements = await measure(pairs, Number(flags.rounds))
  const rows = rowsOf(measurements, WORKLOADS)
  print(tableOf(rows, WORKLOADS))
  if (flags.json !== undefined) {
    const machine = {
      node: process.version,
      platform: process.platform,
      arch: process.arch,
      cores: availableParallelism(),
    }
    await writeFile(
      flags.json,
      `${JSON.stringify({ machine, logLevel: flags['log-level'], rows, measurements }, undefined, 2)}\n`,
    )
  }
} finally {
  await rm(directory, { recursive: true, force: true })
}
if (flags.workload === undefined) {
  for (const bench of globSync('!(run).bench.ts', { cwd: import.meta.dirname }).toSorted())
    print(`\n${await runToEnd([join(import.meta.dirname, bench)])}`)
}

async function startPairs(programs: AsyncDisposableStack): Promise<readonly Pair[]> {
  const backend = programs.use(new Program('backend', [join(SUPPORT, 'backend.ts')]))
  const backendPort = (await backend.line(({ port }) => port !== undefined))['port'] as number
  const options = {
    directory,
    backendPort,
    programs,
    logLevel: flags['log-level'],
    nodeArgs: flags['node-args'].split(' ').filter((part) => part !== ''),
  }
  const controller = await startController(options)
  return [
    await nodeTlsPair(directory, backendPort, programs),
    await handfastPair('tcp', controller, options),
    await handfastPair('http', controller, options),
    { name: 'no proxies', port: backendPort, proxies: [], isConnectionForConnection: false },
  ]
}

async function measure(pairs: readonly Pair[], rounds: number): Promise<readonly Measurement[]> {
  const measurements: Measurement[] = []
  for (const pair of pairs) {
    for (const workload of workloadsOf(pair)) await load(pair, { ...workload, seconds: WARM_UP_SECONDS })
  }
  for (let round = 0; round < rounds; round++) {
    for (const workload of WORKLOADS) {
      for (const pair of pairs) {
        if (workloadsOf(pair).includes(workload)) measurements.push(await measureOnce(pair, workload))
      }
    }
  }
  return measurements
}

/** Handshakes are counted only where a connection of the client makes one. */
function workloadsOf({ isConnectionForConnection }: Pair): readonly Workload[] {
  return WORKLOADS.filter(
    ({ name }) =>
      (flags.workload === undefined || name === flags.workload) &&
      (name !== 'connections' || isConnectionForConnection),
  )
}

async function measureOnce(pair: Pair, workload: Workload): Promise<Measurement> {
  const before = total(pair, cpuSeconds)
  const result = await load(pair, workload)
  const after = total(pair, cpuSeconds)
  const residentMiBs = total(pair, residentMiB)
  return {
    pair: pair.name,
    workload: workload.name,
    ...result,
    ...(before !== undefined && after !== undefined && { cpuSeconds: after - before }),
    ...(residentMiBs !== undefined && { residentMiB: residentMiBs }),
  }
}

async function load({ port }: Pair, { name, seconds, connections }: Workload): Promise<LoadResult> {
  const args = [join(SUPPORT, 'load.ts'), String(port), name, String(seconds), String(connections)]
  return JSON.parse(await runToEnd(args)) as LoadResult
}

/** Over both proxies; undefined where there is nothing to read or no proxy. */
function total({ proxies }: Pair, read: (pid: number) => number | undefined): number | undefined {
  const figures = proxies.map(({ pid }) => read(pid))
  return figures.length === 0 || figures.includes(undefined)
    ? undefined
    : figures.reduce<number>((sum, figure) => sum + figure!, 0)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
