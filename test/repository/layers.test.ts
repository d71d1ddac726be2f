import assert from 'node:assert/strict'
import { readFileSync, globSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import test from 'node:test'

const SRC = join(import.meta.dirname, '../../src')

/** From the bottom up; a file imports its own layer and those below it. */
const LAYERS = [
  'errors.ts',
  'bytes',
  'config',
  'native',
  'crypto',
  'pki',
  'tls',
  'identity',
  'mesh',
  'authz',
  'diagnose',
  'capture',
  'telemetry',
  'ca',
  'control',
  'net',
  'proxy',
  'cmd',
]

/** Layers that take bytes, values and a clock, and touch nothing else. */
const PURE = new Set([
  'errors.ts',
  'bytes',
  'config',
  'crypto',
  'pki',
  'tls',
  'identity',
  'mesh',
  'authz',
  'diagnose',
  'capture',
])

/** Packages that exactly one layer may import. */
const OWNERS: Readonly<Record<string, string>> = {
  koffi: 'native',
  'node:crypto': 'crypto',
  '@noble/curves': 'crypto',
  '@noble/hashes': 'crypto',
  '@noble/ciphers': 'crypto',
  '@noble/post-quantum': 'crypto',
  '@peculiar/x509': 'pki',
  '@grpc/grpc-js': 'control',
  '@bufbuild/protobuf': 'control',
  'node-forge': 'pki',
  '@marcbachmann/cel-js': 'authz',
  zod: 'config',
  yaml: 'config',
}

/** Pure layers may import only these of Node's modules: none of them reaches outside the process. */
const HARMLESS = new Set(['node:crypto', 'node:util', 'node:assert'])

interface Import {
  readonly file: string
  readonly layer: string
  readonly specifier: string
}

function* imports(): Generator<Import> {
  for (const path of globSync('**/*.ts', { cwd: SRC })) {
    const source = readFileSync(join(SRC, path), 'utf8')
    const layer = path.split('/')[0]!
    for (const match of source.matchAll(
      /^\s*(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]|import\(['"]([^'"]+)['"]\)/gm,
    )) {
      yield { file: path, layer, specifier: (match[1] ?? match[2] ?? match[3])! }
    }
  }
}

test('src imports only its own layer and those below', () => {
  const upward: string[] = []
  for (const { file, layer, specifier } of imports()) {
    assert.ok(LAYERS.includes(layer), `src/${file} lies in no known layer`)
    if (!specifier.startsWith('.')) continue
    const target = relative(SRC, join(SRC, dirname(file), specifier)).split('/')[0]!
    assert.ok(specifier.endsWith('.ts'), `src/${file} imports ${specifier} without its extension`)
    if (LAYERS.indexOf(target) > LAYERS.indexOf(layer)) upward.push(`src/${file} imports ${specifier}`)
  }
  assert.deepEqual(upward, [])
})

test('src keeps each outside package in the one layer that owns it', () => {
  const strays: string[] = []
  for (const { file, layer, specifier } of imports()) {
    const owner = Object.entries(OWNERS).find(
      ([name]) => specifier === name || specifier.startsWith(`${name}/`),
    )
    if (owner !== undefined && owner[1] !== layer)
      strays.push(`src/${file} imports ${specifier}, which ${owner[1]} owns`)
  }
  assert.deepEqual(strays, [])
})

test('src keeps pure layers free of sockets, files, environment and clocks', () => {
  const impure: string[] = []
  for (const { file, layer, specifier } of imports()) {
    if (!PURE.has(layer) || !specifier.startsWith('node:')) continue
    if (!HARMLESS.has(specifier)) impure.push(`src/${file} imports ${specifier}`)
  }
  for (const path of globSync('**/*.ts', { cwd: SRC })) {
    if (!PURE.has(path.split('/')[0]!)) continue
    const source = readFileSync(join(SRC, path), 'utf8')
    if (/\bprocess\.env\b|\bDate\.now\(|\bnew Date\(\)|\bsetTimeout\(|\bperformance\.now\(/.test(source))
      impure.push(`src/${path} reads the environment or a clock`)
  }
  assert.deepEqual(impure, [])
})
