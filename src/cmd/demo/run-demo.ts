import { once } from 'node:events'
import { painter } from '../../diagnose/layout.ts'
import { messageOf } from '../../errors.ts'
import { ExitCode, type CommandIo } from '../command.ts'
import { describeFailure } from '../dispatch.ts'
import { terminalOf } from '../terminal.ts'
import type { LogLine } from './child.ts'
import { Family } from './family.ts'
import { introduction, invitation, cast, closing } from './passages.ts'
import { stepHead, stepOutcome, type Look } from './narrate.ts'
import { handfastCommand } from './program.ts'
import { Scratch } from './scratch.ts'
import { Evidence } from './step.ts'
import { STEPS } from './steps/all.ts'
import { until } from './wait.ts'
import { startWorld, type World } from './world.ts'

interface Stage {
  readonly io: CommandIo
  readonly look: Look
  readonly colour: boolean
  readonly startedMs: number
  readonly onlyOnce: boolean
}

/** From the controller to a sidecar; it takes milliseconds. */
const POLICY_TIMEOUT_MS = 10_000

/** `stopped` is for a user who had enough before the steps were over. */
type Outcome = 'held' | 'failed' | 'stopped'

/**
 * Starts everything, shows every step, and unless `once` keeps running for the user to play with.
 *
 * @returns the exit code
 * @throws the reason of `io.signal` when it aborts before what `once` asks for is done
 */
export async function runDemo(
  io: CommandIo,
  { once: onlyOnce }: { readonly once: boolean },
): Promise<number> {
  const { colour, width } = terminalOf(io.stdout, io.env)
  const look = { paint: painter(colour), width }
  const stage: Stage = { io, colour, look, startedMs: performance.now(), onlyOnce }
  const hangup = new AbortController()
  const onHangup = (): void => hangup.abort()
  process.on('SIGHUP', onHangup)
  const stop = AbortSignal.any([io.signal, hangup.signal])
  try {
    const outcome = await inScratch(stage, stop)
    if (stop.aborted) io.stdout.write('Stopped; nothing is left behind.\n')
    if (outcome === 'stopped' && onlyOnce) io.signal.throwIfAborted()
    return outcome === 'failed' || (outcome === 'stopped' && onlyOnce) ? ExitCode.failure : ExitCode.success
  } finally {
    process.off('SIGHUP', onHangup)
  }
}

/** Nothing stays of the files unless something went wrong. */
async function inScratch(stage: Stage, stop: AbortSignal): Promise<Outcome> {
  await using scratch = await Scratch.make()
  const outcome = await perform(stage, scratch, stop)
  if (outcome === 'failed') {
    scratch.keep()
    stage.io.stderr.write(`handfast: The logs of every process are kept in ${scratch.logs}\n`)
  }
  return outcome
}

async function perform(stage: Stage, { path, logs }: Scratch, stop: AbortSignal): Promise<Outcome> {
  const { io, look, onlyOnce } = stage
  await using family = new Family({ logDirectory: logs, env: io.env })
  const signal = AbortSignal.any([stop, family.signal])
  let held = false
  try {
    io.stdout.write(introduction(look))
    const world = await startWorld({ directory: path, family, env: io.env, signal })
    io.stdout.write(cast(world, path, { look, elapsedMs: elapsedMs(stage) }))
    const failed = await showSteps(world, stage, signal)
    io.stdout.write(closing({ total: STEPS.length, failed, elapsedMs: elapsedMs(stage) }, look))
    if (failed.length > 0) return 'failed'
    held = true
    if (onlyOnce) return 'held'
    io.stdout.write(invitation(world, handfastCommand(process.cwd()), look))
    return await playTime(world, stage, signal)
  } catch (error) {
    if (!stop.aborted) {
      io.stderr.write(describeFailure(error, io.env))
      return 'failed'
    }
    io.stdout.write('\nStopping every process …\n')
    return held ? 'held' : 'stopped'
  }
}

/** @returns the numbers of the steps that did not hold */
async function showSteps(world: World, { io, look, colour }: Stage, signal: AbortSignal): Promise<number[]> {
  const failed: number[] = []
  for (const [index, step] of STEPS.entries()) {
    const number = index + 1
    const { title, proves } = step
    const evidence = new Evidence()
    io.stdout.write(stepHead({ number, title, did: step.did(world) }, look))
    try {
      await step.run(world, { evidence, env: io.env, signal, colour, width: look.width })
    } catch (error) {
      signal.throwIfAborted()
      evidence.expect(false, 'the step to come to its end', messageOf(error))
    }
    io.stdout.write(stepOutcome({ number, proves, evidence }, look))
    if (evidence.faults.length > 0) failed.push(number)
  }
  return failed
}

/** Until the user stops it or a child dies; meanwhile it tells what becomes of changes of policy. */
async function playTime(world: World, { io, look }: Stage, signal: AbortSignal): Promise<never> {
  const tell = (text: string): void => void io.stdout.write(`    ${look.paint('cyan', text)}\n`)
  const unsubscribe = world.controller.onLine((line) => {
    const news = policyNews(line)
    if (news?.kind === 'refused') tell(`policy refused, the one before stays in force: ${news.reason}`)
    if (news?.kind === 'changed') void tellWhenInForce(news.revision)
  })
  try {
    if (!signal.aborted) await once(signal, 'abort')
    throw signal.reason
  } finally {
    unsubscribe()
  }

  async function tellWhenInForce(revision: string): Promise<void> {
    const probe = async (): Promise<true | undefined> =>
      (await world.catalog.admin.svid()).policyRevision === revision || undefined
    const what = `policy ${revision} in catalog's sidecar`
    try {
      await until(probe, { what, timeoutMs: POLICY_TIMEOUT_MS, signal })
      tell(`policy changed, revision ${revision}: in force in catalog's sidecar`)
    } catch {
      // The end of the demo, or overtaken by the next change.
    }
  }
}

/** What the controller says of policy. */
export type PolicyNews =
  | { readonly kind: 'changed'; readonly revision: string }
  | { readonly kind: 'refused'; readonly reason: string }

/** What a line of the controller's log says of policy, if it does. */
export function policyNews(line: LogLine): PolicyNews | undefined {
  switch (line.message) {
    case 'Policies changed':
      return { kind: 'changed', revision: String(line['policyRevision']) }
    case 'Policies refused; those in force stay': {
      const error = line['error'] as { readonly message?: unknown } | undefined
      return { kind: 'refused', reason: String(error?.message) }
    }
    default:
      return undefined
  }
}

function elapsedMs({ startedMs }: Stage): number {
  return performance.now() - startedMs
}
