import { HandfastError } from '../errors.ts'
import { ConfigError } from '../config/errors.ts'
import { nearest } from '../config/nearest.ts'
import { ExitCode, type Command, type CommandIo } from './command.ts'
import { UsageError } from './errors.ts'

/** Verbs, of one to three words, with what loads them: a verb costs nothing until it is used. */
export type Verbs = Readonly<Record<string, () => Promise<Command>>>

/**
 * Runs the verb that a command line names, or shows help.
 *
 * @returns the exit code; failures are reported on `io.stderr`
 */
export async function dispatch(args: readonly string[], io: CommandIo, verbs: Verbs): Promise<number> {
  try {
    return await runVerb(args, io, verbs)
  } catch (thrown) {
    if (io.signal.aborted && isAbort(thrown)) throw thrown
    io.stderr.write(describeFailure(thrown, io.env))
    return exitCodeOf(thrown)
  }
}

/** Misuse is 2, every other failure 1. */
export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof UsageError || thrown instanceof ConfigError ? ExitCode.misuse : ExitCode.failure
}

/** `handfast: CODE: message`; with HANDFAST_DEBUG=1 the stack and its causes. */
export function describeFailure(thrown: unknown, env: Readonly<Record<string, string | undefined>>): string {
  if (env['HANDFAST_DEBUG'] === '1' && thrown instanceof Error) return `handfast: ${inspectError(thrown)}\n`
  if (thrown instanceof HandfastError) return `handfast: ${thrown.code}: ${escapeControls(thrown.message)}\n`
  const message = escapeControls(thrown instanceof Error ? thrown.message : String(thrown))
  return `handfast: Unexpected failure: ${message} (HANDFAST_DEBUG=1 shows where)\n`
}

/** Whether something was thrown only because the work was called off. */
function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'SignalError')
}

async function runVerb(args: readonly string[], io: CommandIo, verbs: Verbs): Promise<number> {
  const [first] = args
  if (first === undefined) {
    io.stderr.write(await overview(verbs))
    return ExitCode.misuse
  }
  if (first === '--help' || first === '-h') return showOverview(io, verbs)
  if (first === '--version') return runVerb(['version', ...args.slice(1)], io, verbs)
  if (first === 'help') return help(args.slice(1), io, verbs)
  const { verb, rest } = resolve(args, verbs)
  if (verb === undefined) {
    const group = groupOf(args, verbs)
    if (group !== undefined) return runGroup(group, args, io, verbs)
    throw unknownVerb(args, verbs)
  }
  const command = await verbs[verb]!()
  if (asksForHelp(rest)) {
    io.stdout.write(command.usage)
    return ExitCode.success
  }
  return command.run(rest, io)
}

function resolve(args: readonly string[], verbs: Verbs): { verb?: string; rest: readonly string[] } {
  for (const words of [3, 2, 1]) {
    const verb = args.slice(0, words).join(' ')
    if (args.length >= words && Object.hasOwn(verbs, verb)) return { verb, rest: args.slice(words) }
  }
  return { rest: args }
}

/** `--help` counts until `--`; what follows belongs to someone else. */
function asksForHelp(rest: readonly string[]): boolean {
  const end = rest.indexOf('--')
  const own = end === -1 ? rest : rest.slice(0, end)
  return own.includes('--help') || own.includes('-h')
}

function isGroup(words: string, verbs: Verbs): boolean {
  return Object.keys(verbs).some((verb) => verb.startsWith(`${words} `))
}

/** The longest beginning of a command line that several verbs share. */
function groupOf(args: readonly string[], verbs: Verbs): string | undefined {
  return [args.slice(0, 2), args.slice(0, 1)]
    .map((words) => words.join(' '))
    .find((words) => isGroup(words, verbs))
}

async function runGroup(
  group: string,
  args: readonly string[],
  io: CommandIo,
  verbs: Verbs,
): Promise<number> {
  const rest = args.slice(group.split(' ').length)
  if (rest[0] !== undefined && !rest[0].startsWith('-')) throw unknownVerb(args, verbs)
  const text = await overview(verbs, group)
  if (asksForHelp(rest)) {
    io.stdout.write(text)
    return ExitCode.success
  }
  io.stderr.write(text)
  return ExitCode.misuse
}

async function help(words: readonly string[], io: CommandIo, verbs: Verbs): Promise<number> {
  const [first] = words
  if (first === undefined) return showOverview(io, verbs)
  const { verb, rest } = resolve(words, verbs)
  if (verb !== undefined && rest.length === 0) {
    io.stdout.write((await verbs[verb]!()).usage)
    return ExitCode.success
  }
  if (isGroup(words.join(' '), verbs)) {
    io.stdout.write(await overview(verbs, words.join(' ')))
    return ExitCode.success
  }
  throw unknownVerb(words, verbs)
}

function unknownVerb(args: readonly string[], verbs: Verbs): UsageError {
  const known = Object.keys(verbs)
  const words = args.filter((word) => !word.startsWith('-'))
  const oneWord = words[0] ?? args[0]!
  const group = groupOf(words, verbs)
  // One word more than was understood.
  const typed = group === undefined ? oneWord : words.slice(0, group.split(' ').length + 1).join(' ')
  const near = nearest(words.slice(0, 3).join(' '), known) ?? nearest(typed, known) ?? nearest(oneWord, known)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  return new UsageError(`Expected a verb that handfast --help lists, got ${JSON.stringify(typed)}${hint}`)
}

async function showOverview(io: CommandIo, verbs: Verbs): Promise<number> {
  io.stdout.write(await overview(verbs))
  return ExitCode.success
}

async function overview(verbs: Verbs, group?: string): Promise<string> {
  const chosen = Object.entries(verbs).filter(([verb]) => group === undefined || verb.startsWith(`${group} `))
  const columns = Math.max(...chosen.map(([verb]) => verb.length)) + 2
  const lines = await Promise.all(
    chosen.map(async ([verb, load]) => `  ${verb.padEnd(columns)}${(await load()).summary}`),
  )
  const title =
    group === undefined
      ? 'Handfast: a service mesh whose every handshake you can see.\n\nUsage: handfast VERB [FLAGS]'
      : `Usage: handfast ${group} VERB [FLAGS]`
  return `${title}\n\n${lines.join('\n')}\n\nhandfast VERB --help tells more of one; HANDFAST_DEBUG=1 adds stacks to failures.\n`
}

/** Keeps a peer's or a file's text from driving the terminal; line breaks stay. */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character === '\n' ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`,
  )
}

function inspectError(error: Error): string {
  const own = error.stack ?? error.message
  return error.cause instanceof Error ? `${own}\nCaused by: ${inspectError(error.cause)}` : own
}
