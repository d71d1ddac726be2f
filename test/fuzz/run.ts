/**
 * Fuzzes everything that takes bytes from strangers.
 *
 * `node test/fuzz/run.ts [--time 60s] [--seed N] [--jobs N] [--only NAME]… [--replay FILE]`; exits with 1 when something
 * was found.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { toHex } from '../../src/bytes/bytes.ts'
import { parseDuration } from '../../src/config/duration.ts'
import { tryInput, type CampaignReport, type Finding } from './campaign.ts'
import { readFinding, writeFinding } from './findings.ts'
import { Heartbeat } from './heartbeat.ts'
import { fuzzTargets } from './targets.ts'
import type { WorkerMessage, WorkerTask } from './worker.ts'

/** Git ignores it. */
const FINDINGS = join(import.meta.dirname, '../../.handfast/fuzz-findings')

/** No honest input takes a hundredth, not even on a machine that is busy with other things. */
const HANG_MS = 15_000

/** How often is looked whether the thread still comes along. */
const LOOK_MS = 500

/** Three codes say what most inputs came to. */
const SHOWN_CODES = 3

const { values: flags } = parseArgs({
  options: {
    time: { type: 'string', default: '60s' },
    seed: { type: 'string' },
    jobs: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true, default: [] },
    replay: { type: 'string' },
  },
})

process.exitCode = flags.replay === undefined ? await fuzz() : await replay(flags.replay)

async function fuzz(): Promise<number> {
  const seed = flags.seed === undefined ? Date.now() >>> 0 : Number(flags.seed)
  const jobs = Number(flags.jobs)
  const forMs = parseDuration(flags.time)
  if (forMs === undefined || !Number.isInteger(seed) || !(Number.isInteger(jobs) && jobs > 0))
    throw new Error('TIME is a duration such as 60s, SEED a number, JOBS a number of threads')
  print(`seed ${seed}, ${flags.time}, ${jobs} thread${jobs === 1 ? '' : 's'}`)
  const startedMs = performance.now()
  const reports: CampaignReport[] = []
  const findings: Finding[] = []
  const keep = (finding: Finding): void => {
    findings.push(finding)
    print(`FOUND ${finding.target}: ${finding.problem}\n  ${writeFinding(FINDINGS, finding)}`)
  }
  const run = async (job: number): Promise<void> => {
    let names: readonly string[] = []
    // A thread that hangs takes the rest of its target's time with it; the next one goes on behind it.
    for (let skip: number | undefined = 0; skip !== undefined;) {
      const hung = await watch({ seed, forMs, only: flags.only, jobs, job, skip }, (message) => {
        if (message.kind === 'targets') names = message.names
        else {
          reports.push(message.report)
          print(lineOf(message.report))
          message.report.findings.forEach(keep)
        }
      })
      skip = hung === undefined ? undefined : hung.target + 1
      if (hung === undefined) continue
      const target = names[hung.target]!
      keep({ target, problem: `Hung for ${HANG_MS} ms`, input: toHex(hung.input), seed })
    }
  }
  await Promise.all(Array.from({ length: jobs }, (_, job) => run(job)))
  if (reports.length + findings.length === 0) throw new Error(`There is no target ${flags.only.join()}`)
  print(totalOf(reports, (performance.now() - startedMs) / 1000, findings.length))
  return findings.length === 0 ? 0 : 1
}

/** Runs the thread to its end; tells what it hung on, if it did. */
async function watch(
  task: Omit<WorkerTask, 'memory'>,
  take: (message: WorkerMessage) => void,
): Promise<{ readonly target: number; readonly input: Uint8Array } | undefined> {
  const heartbeat = new Heartbeat()
  const worker = new Worker(join(import.meta.dirname, 'worker.ts'), {
    workerData: { ...task, memory: heartbeat.memory } satisfies WorkerTask,
  })
  worker.on('message', take)
  let last = { beats: 0, atMs: performance.now() }
  let hung: ReturnType<Heartbeat['read']> | undefined
  const timer = setInterval(() => {
    const moment = heartbeat.read()
    if (moment.beats !== last.beats || moment.target < 0)
      last = { beats: moment.beats, atMs: performance.now() }
    else if (performance.now() - last.atMs > HANG_MS) {
      hung = moment
      void worker.terminate()
    }
  }, LOOK_MS)
  try {
    await once(worker, 'exit')
  } finally {
    clearInterval(timer)
  }
  return hung
}

async function replay(path: string): Promise<number> {
  const { target: name, input, problem } = readFinding(path)
  const target = (await fuzzTargets()).find((candidate) => candidate.name === name)
  if (target === undefined) throw new Error(`There is no target ${name}`)
  print(`${name}, where once: ${problem}`)
  let outcome = ''
  const found = tryInput(target, Uint8Array.fromHex(input), (told) => (outcome = told))
  print(found === undefined ? `Now: ${outcome}` : `Still: ${found}`)
  if (found === undefined) return 0
  // Once more with the stack, which the search does without; it ends the process.
  target.run(Uint8Array.fromHex(input))
  return 1
}

function lineOf({
  target,
  inputs,
  cpuSeconds,
  outcomes,
  counts,
  findings,
  grownBytes,
}: CampaignReport): string {
  const rate = `${Math.round(inputs / cpuSeconds)}/s`
  const grown = `${(grownBytes / 2 ** 20).toFixed(1)} MiB`
  const most = counts.slice(0, SHOWN_CODES).map(([code, count]) => `${code} ${count}`)
  const found = findings.length === 0 ? '' : `  ${findings.length} FOUND`
  return `${target.padEnd(22)}${String(inputs).padStart(10)}${rate.padStart(11)}${grown.padStart(10)}${String(outcomes).padStart(6)} ways  ${most.join(', ')}${found}`
}

function totalOf(reports: readonly CampaignReport[], seconds: number, findings: number): string {
  const sum = (figure: (report: CampaignReport) => number): number =>
    reports.reduce((total, report) => total + figure(report), 0)
  const [inputs, cpuSeconds] = [sum((report) => report.inputs), sum((report) => report.cpuSeconds)]
  return `${inputs} inputs to ${reports.length} targets in ${seconds.toFixed(0)} s (${cpuSeconds.toFixed(0)} s of the processor), ${findings} findings`
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
