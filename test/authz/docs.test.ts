import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { normalizePath } from '../../src/authz/path.ts'
import { pathMatcher, principalMatcher } from '../../src/authz/patterns.ts'
import { isPrincipalPattern, isWorkloadId } from '../../src/config/spiffe.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/policy.md'), 'utf8')

/** The cells of each row of the table under a header row, without the backquotes. */
function table(header: string, text = page): string[][] {
  const [, rest] = text.split(`\n${header}\n`)
  assert.ok(rest !== undefined, header)
  const rows = rest.split('\n\n')[0]!.split('\n').slice(1)
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

/** The table of patterns under a heading. */
function patternTable(heading: string): string[][] {
  const at = page.indexOf(`\n${heading}\n`)
  assert.ok(at >= 0, heading)
  return table('| pattern | matches | does not match |', page.slice(at))
}

const codes = (cell: string): string[] => Array.from(cell.matchAll(/`([^`]+)`/g), ([, code]) => code!)

test('docs/policy.md says truly what principal patterns match', () => {
  const rows = patternTable('### Principals')
  assert.equal(rows.length, 5)
  for (const [pattern, matching, other] of rows.map((row) => row.map(codes))) {
    assert.ok(isPrincipalPattern(pattern![0]!))
    const matches = principalMatcher(pattern!)
    for (const id of matching!) assert.ok(isWorkloadId(id) && matches(id), id)
    for (const id of other!) assert.ok(isWorkloadId(id) && !matches(id), id)
  }
})

test('docs/policy.md says truly what path patterns match', () => {
  const rows = patternTable('### HTTP paths')
  assert.equal(rows.length, 8)
  for (const [pattern, matching, other] of rows.map((row) => row.map(codes))) {
    const matches = pathMatcher(pattern!)
    for (const path of matching!) assert.ok(matches(path), path)
    for (const path of other!) assert.ok(!matches(path), path)
  }
})

test('docs/policy.md says truly which paths are refused', () => {
  const rows = table('| reason | such as |')
  assert.equal(rows.length, 12)
  for (const [reason, such] of rows) {
    for (const target of codes(such!))
      assert.deepEqual(normalizePath(target), { kind: 'refused', reason: codes(reason!)[0] }, target)
  }
})
