import assert from 'node:assert/strict'
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type LoadedPolicies, loadPolicies } from '../../src/cmd/controller/policy-files.ts'
import { PolicyWatch, type PolicyWatchOptions } from '../../src/cmd/controller/policy-watch.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const crypto = nativeCrypto()

function policy(name: string, action = 'ALLOW'): string {
  return `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: { action: ${action}, rules: [{}] }
`
}

function load(path: string | undefined): Promise<LoadedPolicies> {
  return loadPolicies({ path, crypto, trustDomain: 'example.org' })
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const endMs = Date.now() + 5_000; !holds(); await sleep(5))
    if (Date.now() > endMs) assert.fail(`It did not come to pass: ${what}`)
}

/** A watch on `path` that keeps what it is told. */
async function watching(t: TestContext, path: string, overrides: Partial<PolicyWatchOptions> = {}) {
  const changes: LoadedPolicies[] = []
  const refusals: unknown[] = []
  const watch = new PolicyWatch({
    path,
    loaded: await load(path),
    load: () => load(path),
    onChange: (policies) => changes.push(policies),
    onRefused: (error) => refusals.push(error),
    debounceMs: 20,
    pollMs: 50,
    ...overrides,
  })
  t.after(() => watch[Symbol.dispose]())
  await watch.reload()
  return { watch, changes, refusals }
}

test('loadPolicies reads a file, a directory of YAML files, or nothing', async (t) => {
  const directory = await temporaryDirectory(t)
  assert.equal((await load(undefined)).count, 0)
  assert.equal((await load(directory)).revision, (await load(undefined)).revision)
  await writeFile(join(directory, 'b.yml'), policy('b'))
  await writeFile(join(directory, 'a.yaml'), `${policy('a')}---\n${policy('c')}`)
  await writeFile(join(directory, '.hidden.yaml'), 'not: policy')
  await writeFile(join(directory, 'notes.txt'), 'not policy')
  assert.equal((await load(directory)).count, 3)
  assert.equal((await load(join(directory, 'a.yaml'))).count, 2)
})

test('loadPolicies gives the same revision to the same policies in other files', async (t) => {
  const [one, two] = [await temporaryDirectory(t), await temporaryDirectory(t)]
  await writeFile(join(one, 'all.yaml'), `${policy('a')}---\n${policy('b')}`)
  await writeFile(join(two, 'x.yaml'), policy('b'))
  await writeFile(join(two, 'y.yaml'), policy('a'))
  const [{ warnings: _, ...first }, { warnings: __, ...second }] = [await load(one), await load(two)]
  assert.deepEqual(first, second)
})

test('loadPolicies refuses all files for one mistake, and names every mistake in every file', async (t) => {
  const directory = await temporaryDirectory(t)
  await writeFile(join(directory, 'a.yaml'), policy('a'))
  await writeFile(join(directory, 'b.yaml'), policy('b', 'PERHAPS'))
  await writeFile(join(directory, 'c.yaml'), policy('a'))
  await assert.rejects(load(directory), (error) => {
    assert.ok(error instanceof ConfigError)
    assert.deepEqual(
      error.problems.map(({ file, line, field }) => [file, line, field]),
      [
        [join(directory, 'b.yaml'), 4, 'spec.action'],
        [join(directory, 'c.yaml'), 3, 'metadata.name'],
      ],
    )
    return true
  })
})

test('loadPolicies says what is missing or not readable', async (t) => {
  const directory = await temporaryDirectory(t)
  await assert.rejects(load(join(directory, 'none')), { code: 'CONFIG_MISSING_FILE' })
  await mkdir(join(directory, 'folder.yaml'))
  await assert.rejects(load(directory), { code: 'CONFIG_UNREADABLE' })
  await rm(join(directory, 'folder.yaml'), { recursive: true })
  await symlink(join(directory, 'gone'), join(directory, 'dangling.yaml'))
  await assert.rejects(load(directory), { code: 'CONFIG_MISSING_FILE' })
})

test('PolicyWatch tells of files that are added, changed and removed', async (t) => {
  const directory = await temporaryDirectory(t)
  const { changes, refusals } = await watching(t, directory)
  await writeFile(join(directory, 'a.yaml'), policy('a'))
  await until(() => changes.at(-1)?.count === 1, 'an added file')
  await writeFile(join(directory, 'a.yaml'), policy('a', 'DENY'))
  await until(() => changes.length === 2, 'a changed file')
  await rm(join(directory, 'a.yaml'))
  await until(() => changes.at(-1)?.count === 0, 'a removed file')
  assert.deepEqual(refusals, [])
})

test('PolicyWatch follows one file through being replaced', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'policy.yaml')
  await writeFile(path, policy('a'))
  const { changes } = await watching(t, path)
  for (const name of ['b', 'c']) {
    await writeFile(join(directory, 'new'), policy(name))
    await rename(join(directory, 'new'), path)
    await until(() => changes.at(-1)?.text.includes(`"${name}"`) === true, `the policy ${name}`)
  }
})

test('PolicyWatch sees a mounted volume change, whose files are links into a directory that is swapped', async (t) => {
  const directory = await temporaryDirectory(t)
  for (const version of ['1', '2']) {
    await mkdir(join(directory, `..${version}`))
    await writeFile(join(directory, `..${version}`, 'policy.yaml'), policy(`v${version}`))
  }
  await symlink('..1', join(directory, '..data'))
  await symlink('..data/policy.yaml', join(directory, 'policy.yaml'))
  const { changes } = await watching(t, directory)
  await symlink('..2', join(directory, '..data_tmp'))
  await rename(join(directory, '..data_tmp'), join(directory, '..data'))
  await until(() => changes.at(-1)?.text.includes('"v2"') === true, 'the new volume')
})

test('PolicyWatch keeps silent about bad policies after it has told of them once', async (t) => {
  const directory = await temporaryDirectory(t)
  const { changes, refusals } = await watching(t, directory)
  await writeFile(join(directory, 'a.yaml'), policy('a', 'PERHAPS'))
  await until(() => refusals.length === 1, 'the refusal')
  await sleep(300)
  assert.equal(refusals.length, 1)
  assert.deepEqual(changes, [])
  await writeFile(join(directory, 'a.yaml'), policy('a'))
  await until(() => changes.length === 1, 'the good policies')
})

test('PolicyWatch sees changes by looking, where the file system tells of none', async (t) => {
  const directory = await temporaryDirectory(t)
  const path = join(directory, 'later')
  await mkdir(path)
  const { changes } = await watching(t, path)
  // The watch is on the directory that goes away; only looking finds the new one.
  await rm(path, { recursive: true })
  await mkdir(path)
  await writeFile(join(path, 'a.yaml'), policy('a'))
  await until(() => changes.at(-1)?.count === 1, 'the new directory')
  await writeFile(join(path, 'b.yaml'), policy('b'))
  await until(() => changes.at(-1)?.count === 2, 'a file in the new directory')
})

test('PolicyWatch.reload reads now, and not after it was disposed of', async (t) => {
  const directory = await temporaryDirectory(t)
  const { watch, changes } = await watching(t, directory, { pollMs: 3_600_000, debounceMs: 3_600_000 })
  await writeFile(join(directory, 'a.yaml'), policy('a'))
  await watch.reload()
  assert.equal(changes.length, 1)
  watch[Symbol.dispose]()
  await writeFile(join(directory, 'b.yaml'), policy('b'))
  await watch.reload()
  assert.equal(changes.length, 1)
})
