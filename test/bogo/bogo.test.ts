import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { promisify } from 'node:util'

/** The outcome that is on record. */
interface Expected {
  /** Names of tests that pass. */
  readonly passed: readonly string[]
  /** Names of tests that do not, each with its reason. */
  readonly notPassed: Readonly<Record<string, string>>
}

/** The runner's JSON, as far as it is read. */
interface Results {
  readonly tests: Readonly<Record<string, { readonly actual: string }>>
}

const runner = process.env['HANDFAST_BOGO_RUNNER']
const directory = process.env['HANDFAST_BOGO_DIR']
const skip =
  runner === undefined || directory === undefined
    ? 'HANDFAST_BOGO_RUNNER and HANDFAST_BOGO_DIR do not name the runner of the suite and its directory'
    : false

test('the adversarial suite ends as expected.json records', { skip }, async () => {
  const expected = await readExpected()
  const { tests } = await runSuite([...expected.passed, ...Object.keys(expected.notPassed)])
  const passes = (name: string): boolean => tests[name]?.actual === 'PASS'
  assert.deepEqual(
    expected.passed.filter((name) => !passes(name)),
    [],
    'These tests passed once and do not any more',
  )
  assert.deepEqual(
    Object.keys(expected.notPassed).filter(passes),
    [],
    'These tests pass now: record it in expected.json',
  )
})

test('expected.json gives a reason for every test that does not pass', async () => {
  const { passed, notPassed } = await readExpected()
  assert.ok(passed.length > 0)
  assert.deepEqual(
    Object.entries(notPassed).filter(([, reason]) => reason.length < 10),
    [],
  )
  assert.deepEqual(
    passed.filter((name) => name in notPassed),
    [],
  )
})

async function readExpected(): Promise<Expected> {
  return JSON.parse(await readFile(join(import.meta.dirname, 'expected.json'), 'utf8')) as Expected
}

async function runSuite(names: readonly string[]): Promise<Results> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'bogo-'))
  const output = join(scratch.path, 'results.json')
  const args = [
    '-shim-path',
    join(import.meta.dirname, 'shim'),
    '-shim-config',
    join(import.meta.dirname, 'config.json'),
    '-json-output',
    output,
    '-test',
    names.join(';'),
    '-num-workers',
    '2',
    '-allow-unimplemented',
    '-pipe',
  ]
  // The shim starts more than a thousand times: what is compiled once is kept, which saves most of the time.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(scratch.path, 'compiled') }
  // The runner's exit status tells whether all passed; which ones did is in its results.
  await promisify(execFile)(runner!, args, { cwd: directory!, env, maxBuffer: 2 ** 28 }).catch(
    () => undefined,
  )
  return JSON.parse(await readFile(output, 'utf8')) as Results
}
