/** Whatever reads what others wrote is reached by a target of its own layer: V8 counts the calls of each function. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { Session, type Profiler } from 'node:inspector/promises'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { runCampaign } from './campaign.ts'
import { fuzzTargets } from './targets.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Where strangers' bytes are read, or those of files that others may have written to. */
const READING = [
  'src/{authz,bytes,config,control,crypto,identity,pki}/*.ts',
  'src/authz/flight/decode.ts',
  'src/control/workload-api/*.ts',
  'src/tls/**/*.ts',
  'src/ca/{csr,journal-line,journal-proof,journal-reader,tree-head}.ts',
  'src/cmd/tls/session-file.ts',
]

/** Steps of a handshake, not decoders: whole handshakes lead there. */
const WITHIN_HANDSHAKES = /^src\/tls\/(?:client|server|authenticate-peer)/

/** Read what was made here, each for the reason behind it. */
const EXEMPT: Readonly<Record<string, string>> = {
  'src/cmd/tls/session-file.ts readSessions':
    'opens the file; its text is what decodeSession and readPem read',
  'src/cmd/tls/session-file.ts readPrivately': 'opens the file',
  'src/pki/operator-files.ts decodeEncryptedKeyPem':
    "an operator's own file, opened by node-forge with its passphrase; what is inside private-key reads",
  'src/pki/operator-files.ts decodePkcs12':
    "an operator's own file, opened by node-forge with its passphrase; what is inside private-key and certificate-der read",
}

/** A function whose name says that it reads. */
const READER =
  /^(?: {2}static (?:async )?|(?:export )?(?:async )?function\*? )((?:decode|deserialize|parse|read|restore)(?:[A-Z]\w*)?)[(<]/gm

const SEED = 7

/** What a target must come to, besides its seeds. */
const INPUTS = { handshake: 200, slow: 60, other: 1200 } as const

test('fuzzTargets lead into every function that reads what others wrote', async () => {
  const targets = await fuzzTargets()
  const isHandshake = (name: string): boolean => name.startsWith('handshake')
  const called = {
    decoders: await callsOf(async () => {
      for (const target of targets.filter(({ name }) => !isHandshake(name))) {
        const inputs = INPUTS[target.maxInputMs === undefined ? 'other' : 'slow']
        await runCampaign(target, { seed: SEED, inputs })
      }
    }),
    handshakes: await callsOf(async () => {
      for (const target of targets.filter(({ name }) => isHandshake(name)))
        await runCampaign(target, { seed: SEED, inputs: INPUTS.handshake })
    }),
  }
  const missed = readers().filter((reader) => {
    const calls = WITHIN_HANDSHAKES.test(reader) ? called.handshakes : called.decoders
    return !calls.has(reader) && !(reader in EXEMPT)
  })
  assert.deepEqual(missed, [])
  assert.deepEqual(
    Object.keys(EXEMPT).filter((reader) => !readers().includes(reader)),
    [],
    'exemptions of what is no more',
  )
})

/** Each as its file and its name. */
function readers(): string[] {
  return READING.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).flatMap((file) =>
    Array.from(
      readFileSync(join(ROOT, file), 'utf8').matchAll(READER),
      ([, name]) => `${file.replaceAll('\\', '/')} ${name}`,
    ),
  )
}

/** The functions of our sources that were called while `act` ran. */
async function callsOf(act: () => Promise<void>): Promise<ReadonlySet<string>> {
  using session = connected()
  await session.inspector.post('Profiler.enable')
  await session.inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  await act()
  const { result } = await session.inspector.post('Profiler.takePreciseCoverage')
  const root = pathToFileURL(`${ROOT}/`).href
  return new Set(
    result
      .filter(({ url }) => url.startsWith(root))
      .flatMap(({ url, functions }) => calledIn(url.slice(root.length), functions)),
  )
}

function calledIn(file: string, functions: readonly Profiler.FunctionCoverage[]): string[] {
  return functions
    .filter(({ ranges }) => ranges[0]!.count > 0)
    .map(({ functionName }) => `${file} ${functionName.replace(/^static_initializer /, '')}`)
}

function connected(): Disposable & { readonly inspector: Session } {
  const inspector = new Session()
  inspector.connect()
  return { inspector, [Symbol.dispose]: () => inspector.disconnect() }
}
