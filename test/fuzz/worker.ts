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
  /** How many of them to leave out: they have had their turn. */
  readonly skip: number
}

/** What it says in between. */
export type WorkerMessage =
  | { readonly kind: 'targets'; readonly names: readonly string[] }
  | { readonly kind: 'report'; readonly report: CampaignReport }

const { memory, seed, forMs, only, skip } = workerData as WorkerTask
const heartbeat = new Heartbeat(memory)
const targets = (await fuzzTargets()).filter(({ name }) => only.length === 0 || only.includes(name))
say({ kind: 'targets', names: targets.map(({ name }) => name) })
// Half of the time is for the two that drive whole handshakes.
const shares = targets.map(({ name }) =>
  name.startsWith('handshake-') ? Math.max(1, (targets.length - 2) / 2) : 1,
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
