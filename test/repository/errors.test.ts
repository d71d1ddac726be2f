import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'

const ROOT = join(import.meta.dirname, '../..')

async function codesInSource(): Promise<Map<string, string>> {
  const codes = new Map<string, string>()
  for (const path of globSync('src/*/errors.ts', { cwd: ROOT })) {
    const module = (await import(join(ROOT, path))) as Record<string, unknown>
    for (const [name, table] of Object.entries(module)) {
      if (!name.endsWith('_ERROR_CODES')) continue
      for (const [code, meaning] of Object.entries(table as Record<string, string>)) {
        assert.ok(!codes.has(code), `${code} is declared twice`)
        codes.set(code, meaning)
      }
    }
  }
  return codes
}

function codesInDocs(): Map<string, string> {
  const text = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')
  return new Map(Array.from(text.matchAll(/^\| `([A-Z0-9_]+)` \| (.+?) \|/gm), (row) => [row[1]!, row[2]!]))
}

test('docs/errors.md lists exactly the codes of the source, with their meanings', async () => {
  const inSource = await codesInSource()
  assert.deepEqual(Object.fromEntries(codesInDocs()), Object.fromEntries(inSource))
})
