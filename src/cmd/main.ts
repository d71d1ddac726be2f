#!/usr/bin/env node
import { ExitCode, type CommandIo } from './command.ts'
import { describeFailure, dispatch, type Verbs } from './dispatch.ts'

/** Every verb, in the order that help shows them. */
const VERBS: Verbs = {
  demo: async () => (await import('./demo/command.ts')).demo,
  'tls connect': async () => (await import('./tls/connect.ts')).tlsConnect,
  'tls serve': async () => (await import('./tls/serve.ts')).tlsServe,
  'tls ech-keygen': async () => (await import('./tls/ech-keygen.ts')).tlsEchKeygen,
  controller: async () => (await import('./controller/command.ts')).controller,
  'controller token': async () => (await import('./controller/token.ts')).controllerToken,
  'ca rotate': async () => (await import('./ca/rotate.ts')).caRotate,
  'ca outage-budget': async () => (await import('./ca/outage-budget.ts')).caOutageBudget,
  'ca revoke': async () => (await import('./ca/revoke.ts')).caRevoke,
  'ca revoke list': async () => (await import('./ca/revoke-list.ts')).caRevokeList,
  'ca unrevoke': async () => (await import('./ca/unrevoke.ts')).caUnrevoke,
  'ca journal verify': async () => (await import('./ca/journal-verify.ts')).caJournalVerify,
  'ca journal find': async () => (await import('./ca/journal-find.ts')).caJournalFind,
  'ca journal prove': async () => (await import('./ca/journal-prove.ts')).caJournalProve,
  'authz validate': async () => (await import('./authz/validate.ts')).authzValidate,
  'authz check': async () => (await import('./authz/check.ts')).authzCheck,
  'authz explain': async () => (await import('./authz/explain.ts')).authzExplain,
  'authz log': async () => (await import('./authz/log.ts')).authzLog,
  'authz simulate': async () => (await import('./authz/simulate.ts')).authzSimulate,
  'authz suggest': async () => (await import('./authz/suggest.ts')).authzSuggest,
  'authz coverage': async () => (await import('./authz/coverage.ts')).authzCoverage,
  'svid fetch': async () => (await import('./svid/fetch.ts')).svidFetch,
  'svid jwt': async () => (await import('./svid/jwt.ts')).svidJwt,
  'svid validate': async () => (await import('./svid/validate.ts')).svidValidate,
  init: async () => (await import('./init/command.ts')).init,
  proxy: async () => (await import('./proxy/command.ts')).proxy,
  version: async () => (await import('./version.ts')).version,
}

/** What shells expect of a process that a signal ended. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const

/** Long enough for a peer to read our last alert, short enough that nobody wonders. */
const GRACE_MS = 2_000

await main()

async function main(): Promise<void> {
  const stop = new AbortController()
  let stoppedBy: keyof typeof SIGNAL_EXIT_CODES | undefined
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      // A second signal means that the first was not heeded in time.
      if (stoppedBy !== undefined) process.exit(SIGNAL_EXIT_CODES[name])
      stoppedBy = name
      stop.abort()
    })
  }
  dieReadably(stop)
  const io: CommandIo = {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    signal: stop.signal,
  }
  try {
    process.exitCode = await dispatch(process.argv.slice(2), io, VERBS)
  } catch {
    // Only work that was called off ends here: nothing cleaned up after the signal, so it counts as what ended us.
    process.exitCode = stoppedBy === undefined ? ExitCode.failure : SIGNAL_EXIT_CODES[stoppedBy]
  }
  leave()
}

/** The process ends by itself once the last bytes have left; what a verb forgot to close does not keep it. */
function leave(): void {
  process.stdin.destroy()
  setTimeout(() => process.exit(), GRACE_MS).unref()
}

/** No stack traces, no half-dead process; a reader that went away (EPIPE) is no failure but the end. */
function dieReadably(stop: AbortController): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') stop.abort()
    else die(error)
  })
  process.stderr.on('error', () => {})
  process.on('uncaughtException', die)
}

function die(thrown: unknown): void {
  process.stderr.write(describeFailure(thrown, process.env))
  process.exit(ExitCode.failure)
}
