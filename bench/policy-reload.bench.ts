/**
 * Policy that changes all the time under load, in a proxy with threads of its own: whether any request is judged by half of a policy,
 * how soon connections that are newly denied are cut, and what it leaves behind. Two policies alternate so that any mixture of both
 * would show (test/support/policy-reload.ts).
 *
 * `node bench/policy-reload.bench.ts [--rounds N] [--clients N] [--victims N] [--threads N] [--json FILE]`
 */
import { writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { finished } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import type { Worker } from 'node:worker_threads'
import { decodeFlightLine } from '../src/authz/flight/decode.ts'
import { startWorkerThread } from '../src/cmd/proxy/start-thread.ts'
import { reloadUnderLoad } from '../test/support/policy-reload.ts'
import type { TestProxy } from '../test/support/proxy-world.ts'

const { values: flags } = parseArgs({
  options: {
    /** Each has two changes. */
    rounds: { type: 'string', default: '500' },
    clients: { type: 'string', default: '8' },
    victims: { type: 'string', default: '20' },
    threads: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
})
const [rounds, clients, victims, threads] = [flags.rounds, flags.clients, flags.victims, flags.threads].map(
  Number,
) as [number, number, number, number]

/** Rounds for the compilers and the pools, before memory is looked at for the first time. */
const WARM_UP_ROUNDS = 50

const cleared: (() => unknown)[] = []
const dataPlanes: Worker[] = []
const retained: number[] = []
const atProxyMs: number[] = []
let following: Promise<void> | undefined
const result = await reloadUnderLoad(
  { after: (clear) => void cleared.push(clear) },
  {
    rounds,
    clients,
    victims,
    threads,
    logLevel: 'error',
    startThread: (options) => {
      const thread = startWorkerThread(options)
      dataPlanes.push(thread.port as unknown as Worker)
      return thread
    },
    onStarted: (catalog) => {
      following = watchCuts(catalog)
    },
    onRound: async (round) => {
      if (round === WARM_UP_ROUNDS || round === rounds) retained.push(await retainedMiB())
    },
  },
)
for (const clear of cleared.toReversed()) await clear()
await following

const figures = {
  policies: result.policies,
  threads,
  requests: result.requests,
  judgedByMixture: result.violations.length,
  cuts: result.cutsMs.length,
  cutAtProxyMs: spread(atProxyMs),
  cutAtClientMs: spread(result.cutsMs),
  adoptedMs: spread(result.adoptedMs),
  /** After the first rounds, and after all of them. */
  retainedMiB: retained.map(round),
}
process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(figures)}\n`)
process.exit(result.violations.length === 0 ? 0 : 1)

/** How long after a policy came the proxy had cut what it denies, by the proxy's own flight log. */
async function watchCuts({ admin }: TestProxy): Promise<void> {
  const page = await new Promise<AsyncIterable<string>>((resolve, reject) =>
    get({ ...admin, path: '/flight-log?follow=1', agent: false }, (answer) =>
      resolve(answer.setEncoding('utf8')),
    ).on('error', reject),
  )
  let rest = ''
  const receivedAtMs = new Map<string, number>()
  try {
    for await (const part of page) {
      const lines = (rest + part).split('\n')
      rest = lines.pop()!
      for (const text of lines) {
        const line = decodeFlightLine(text)
        if (line.kind === 'policy') receivedAtMs.set(line.revision, line.atMs)
        if (line.kind === 'decision' && line.again)
          atProxyMs.push(line.atMs - receivedAtMs.get(line.revision)!)
      }
    }
  } catch {
    // The proxy was stopped: that is how it ends.
  }
}

/** What all data-plane threads of both proxies hold after their garbage was collected, as a heap snapshot does. */
async function retainedMiB(): Promise<number> {
  let bytes = 0
  for (const worker of dataPlanes) {
    const snapshot = await worker.getHeapSnapshot()
    await finished(snapshot.resume())
    bytes += (await worker.getHeapStatistics()).used_heap_size
  }
  return bytes / (1024 * 1024)
}

function spread(values: readonly number[]): Readonly<Record<'p50' | 'p99' | 'max', number>> {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN)
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
