/** The thread that fuzzes; run.ts watches it. */
import { parentPort, workerData } from 'node:worker_threads'
import { runCampaign, type CampaignReport } from './campaign.ts'
import { Heartbeat } from './heartbeat.ts'
import { fuzzTargets } from './targets.ts'

/** What the thread is to do. */
export interface WorkerTask {
  readonly memory: SharedArrayBuffer
  readonly seed: number
  readonly forMs: number
  /** Names of targets, or nothing for all. */
  readonly only: readonly string[]
  /** How many threads share the targets, and which of them this is: one target goes to each in turn. */
  readonly jobs: number
  readonly job: number
  /** How many of its targets to leave out: they have had their turn. */
  readonly skip: number
}

/** What it says in between. */
export type WorkerMessage =
  | { readonly kind: 'targets'; readonly names: readonly string[] }
  | { readonly kind: 'report'; readonly report: CampaignReport }

const { memory, seed, forMs, only, jobs, job, skip } = workerData as WorkerTask
const heartbeat = new Heartbeat(memory)
const targets = (await fuzzTargets())
  .filter(({ name }) => only.length === 0 || only.includes(name))
  .filter((_, index) => index % jobs === job)
say({ kind: 'targets', names: targets.map(({ name }) => name) })
// A third of the time is for those that drive whole handshakes.
const isHandshake = (name: string): boolean => name.startsWith('handshake-')
const handshakes = targets.filter(({ name }) => isHandshake(name)).length
const shares = targets.map(({ name }) =>
  isHandshake(name) ? Math.max(1, (targets.length - handshakes) / (2 * handshakes)) : 1,
)
const whole = shares.reduce((sum, share) => sum + share, 0)
for (const [index, target] of targets.entries()) {
  if (index < skip) continue
  const report = await runCampaign(target, {
    seed,
    forMs: (forMs * shares[index]!) / whole,
    announce: (input) => heartbeat.beat(index, input),
  })
  say({ kind: 'report', report })
}

function say(message: WorkerMessage): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort?.postMessage(message)
}
