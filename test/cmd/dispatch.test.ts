import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import test from 'node:test'
import type { Command, CommandIo } from '../../src/cmd/command.ts'
import { describeFailure, dispatch, exitCodeOf } from '../../src/cmd/dispatch.ts'
import { UsageError } from '../../src/cmd/errors.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { NetError } from '../../src/net/errors.ts'

function command(run: Command['run']): () => Promise<Command> {
  return () => Promise.resolve({ summary: 'Try', usage: 'Usage: try\n', run })
}

async function run(
  args: readonly string[],
  command: () => Promise<Command>,
  signal: AbortSignal = new AbortController().signal,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const io: CommandIo = { stdin: new PassThrough(), stdout, stderr, env: {}, signal }
  const code = await dispatch(args, io, { try: command, 'try again': command })
  stdout.end()
  stderr.end()
  return { code, stdout: await text(stdout), stderr: await text(stderr) }
}

const PROBLEM = { file: 'a.pem', field: '--cert', expected: 'a file', got: 'none' }

test('dispatch hands a verb its arguments and returns its exit code', async () => {
  const seen: (readonly string[])[] = []
  const verb = command((args) => {
    seen.push(args)
    return Promise.resolve(args.length)
  })
  assert.equal((await run(['try', '--a', 'b'], verb)).code, 2)
  assert.equal((await run(['try', 'again', 'c'], verb)).code, 1)
  assert.deepEqual(seen, [['--a', 'b'], ['c']])
})

test('dispatch leaves what follows -- to the verb, help or not', async () => {
  const verb = command(() => Promise.resolve(7))
  assert.equal((await run(['try', '--', '--help'], verb)).code, 7)
  assert.deepEqual(await run(['try', 'x', '-h'], verb), { code: 0, stdout: 'Usage: try\n', stderr: '' })
})

test('exitCodeOf tells misuse from failure', () => {
  assert.equal(exitCodeOf(new UsageError('No')), 2)
  assert.equal(exitCodeOf(new ConfigError('CONFIG_MISSING_FILE', [PROBLEM])), 2)
  assert.equal(exitCodeOf(new NetError('NET_RESET', 'Cut')), 1)
  assert.equal(exitCodeOf(new Error('Oops')), 1)
})

test('dispatch prints an error by code and message, and nothing else', async () => {
  const failing = command(() => Promise.reject(new NetError('NET_RESET', 'Cut')))
  assert.deepEqual(await run(['try'], failing), { code: 1, stdout: '', stderr: 'handfast: NET_RESET: Cut\n' })
  const crashing = command(() => Promise.reject(new TypeError('x is undefined')))
  const { code, stderr } = await run(['try'], crashing)
  assert.equal(code, 1)
  assert.equal(stderr, 'handfast: Unexpected failure: x is undefined (HANDFAST_DEBUG=1 shows where)\n')
})

test('dispatch passes an abort on when the signal asked for it, and only then', async () => {
  const aborting = command(() => Promise.reject(new DOMException('Stop', 'AbortError')))
  await assert.rejects(run(['try'], aborting, AbortSignal.abort()), { name: 'AbortError' })
  assert.equal((await run(['try'], aborting)).code, 1)
})

test('describeFailure lets no message drive the terminal', () => {
  const told = describeFailure(new NetError('NET_FAILED', 'a\u001b[2J\u202eb\nc'), {})
  assert.equal(told, 'handfast: NET_FAILED: a\\u{1b}[2J\\u{202e}b\nc\n')
})
