import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'node:test'

const ROOT = join(import.meta.dirname, '../..')
const DOCUMENTS = globSync(['*.md', 'docs/**/*.md'], { cwd: ROOT })

test('documents name only targets that the Makefile has', () => {
  const targets = new Set(Array.from(read('Makefile').matchAll(/^([a-z]+):/gm), ([, name]) => name))
  for (const document of DOCUMENTS) {
    for (const [, target] of read(document).matchAll(/(?:^|`)make ([a-z]+)\b/gm))
      assert.ok(targets.has(target), `${document} names make ${target}`)
  }
})

test('documents link only to files that exist', () => {
  for (const document of DOCUMENTS) {
    for (const [, link] of read(document).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      assert.ok(existsSync(join(ROOT, dirname(document), link!)), `${document} links to ${link}`)
  }
})

test('the repository names no place of the machine it was written on', () => {
  for (const document of [...DOCUMENTS, 'Makefile', 'deploy/Dockerfile', '.ci/run'])
    assert.doesNotMatch(read(document), /(?<![\w.-])\/(?:root|work)\//, document)
})

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}
