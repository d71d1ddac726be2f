/**
 * Proxy pairs side by side in one run: client → A = mutual TLS 1.3 = B → backend, with A and B two of nginx, Envoy, haproxy, stunnel (where
 * they are installed), two proxies of node:tls, or two `handfast proxy`. Rounds are interleaved and medians shown; only the ratios
 * mean anything on another machine.
 *
 * `node bench/run.bench.ts [--json FILE] [--svg FILE] [--rounds N] [--workload NAMES] [--pair NAMES] [--only NAMES]
 * [--log-level LEVEL] [--node-args=ARGS]`, with names separated by commas. A pair is meant by the start of its name, with --only by the whole.
 */
import { globSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { measureAll, type Results } from './measure.ts'
import { envoyPairs } from './pairs/envoy.ts'
import { haproxyPairs } from './pairs/haproxy.ts'
import { handfastPair, startController, VARIANTS } from './pairs/handfast.ts'
import { nginxPairs } from './pairs/nginx.ts'
import { nodeTlsPair } from './pairs/node-tls.ts'
import type { Pair } from './pairs/pair.ts'
import { stunnelPairs } from './pairs/stunnel.ts'
import { WORKLOADS, type Workload } from './load/workload.ts'
import { chartOf } from './report/chart.ts'
import { memoryTableOf, tablesOf } from './report/table.ts'
import { Program, runToEnd } from './support/program.ts'

const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    svg: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    'log-level': { type: 'string', default: 'warn' },
    /** Only these, and no micro benches. */
    workload: { type: 'string' },
    /** Only these, and no micro benches. */
    pair: { type: 'string' },
    /** Only pairs of exactly these names, separated by semicolons. */
    only: { type: 'string' },
    /** What goes to Node before the proxies' script, such as --cpu-prof. */
    'node-args': { type: 'string', default: '' },
  },
})

const directory = await mkdtemp(join(tmpdir(), 'handfast-bench-'))
try {
  await using programs = new AsyncDisposableStack()
  const pairs = await startPairs(programs)
  const workloads = WORKLOADS.filter(({ name }) => isWanted(flags.workload, name))
  const results = await measureAll(pairs, { workloads, rounds: Number(flags.rounds) })
  print(`${tablesOf(results.rows, WORKLOADS)}\n\n${memoryTableOf(results.memory)}`)
  await keep(results, workloads)
} finally {
  await rm(directory, { recursive: true, force: true })
}
if (flags.workload === undefined && flags.pair === undefined) {
  for (const bench of globSync('!(run).bench.ts', { cwd: import.meta.dirname }).toSorted())
    print(`\n${await runToEnd([process.execPath, join(import.meta.dirname, bench)])}`)
}

async function startPairs(programs: AsyncDisposableStack): Promise<readonly Pair[]> {
  const script = join(import.meta.dirname, 'load/backend.ts')
  const backend = programs.use(new Program('backend', [process.execPath, script]))
  const backendPort = (await backend.line(({ port }) => port !== undefined))['port'] as number
  const options = { directory, backendPort, programs }
  const pairs: Pair[] = []
  if (isWanted(flags.pair, 'nginx')) pairs.push(...(await nginxPairs(options)))
  if (isWanted(flags.pair, 'envoy')) pairs.push(...(await envoyPairs(options)))
  if (isWanted(flags.pair, 'haproxy')) pairs.push(...(await haproxyPairs(options)))
  if (isWanted(flags.pair, 'stunnel')) pairs.push(...(await stunnelPairs(options)))
  if (isWanted(flags.pair, 'node:tls')) pairs.push(await nodeTlsPair(options))
  if (isWanted(flags.pair, 'handfast')) {
    const nodeArgs = flags['node-args'].split(' ').filter((part) => part !== '')
    const handfast = { ...options, logLevel: flags['log-level'], nodeArgs }
    const controller = await startController(handfast)
    for (const variant of VARIANTS) pairs.push(await handfastPair(variant, controller, handfast))
  }
  const only = flags.only?.split(';')
  return only === undefined ? pairs : pairs.filter(({ name }) => only.includes(name))
}

function isWanted(names: string | undefined, name: string): boolean {
  return names === undefined || names.split(',').includes(name)
}

async function keep(results: Results, workloads: readonly Workload[]): Promise<void> {
  if (flags.svg !== undefined) await writeFile(flags.svg, chartOf(results.rows, workloads))
  if (flags.json === undefined) return
  const { version: node, platform, arch } = process
  const machine = { node, platform, arch, cores: availableParallelism() }
  const whole = { machine, logLevel: flags['log-level'], ...results }
  await writeFile(flags.json, `${JSON.stringify(whole, undefined, 2)}\n`)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
