import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'

const FOLDER = join(import.meta.dirname, '../../../shared/vectors/wycheproof')

/** One vector: strings are hexadecimal unless the format says otherwise. */
export interface Vector {
  readonly tcId: number
  readonly result: 'valid' | 'invalid' | 'acceptable'
  readonly flags?: readonly string[]
  readonly comment?: string
}

/** What a vector came to: accepted or refused, or out of what the interface covers, and why. */
export type Outcome = boolean | { readonly skipped: string }

export interface VectorTest<G, V extends Vector> {
  /** A sentence that begins with the symbol under test. */
  readonly name: string
  /** In the folder of vectors. */
  readonly file: string
  /** Whether the implementation accepts the vector and comes to its results. */
  readonly judge: (vector: V, group: G) => Outcome
  /**
   * Whether a vector ought to be accepted.
   *
   * @default the valid ones; then there must be none that the authors leave open
   */
  readonly expected?: (vector: V) => boolean
}

/** Registers a test that runs every vector of a file; it skips visibly where the vectors are absent. */
export function testVectors<V extends Vector, G = object>(options: VectorTest<G, V>): void {
  const path = join(FOLDER, options.file)
  const skip = existsSync(path) ? false : `${options.file} is absent`
  test(options.name, { skip }, (t) => {
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as {
      testGroups: readonly (G & { readonly tests: readonly V[] })[]
    }
    const counts = new Map<string, number>()
    const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1)
    let run = 0
    for (const group of testGroups) {
      for (const vector of group.tests) {
        const outcome = options.judge(vector, group)
        if (typeof outcome === 'object') {
          count(`skipped, ${outcome.skipped}`)
          continue
        }
        assert.equal(outcome, (options.expected ?? isValid)(vector), describe(vector))
        count(`${vector.result} ${outcome ? 'accepted' : 'refused'}`)
        run++
      }
    }
    assert.ok(run > 0, 'Not one vector was run')
    for (const [what, times] of counts) t.diagnostic(`${options.file}: ${times} ${what}`)
  })
}

function isValid(vector: Vector): boolean {
  assert.notEqual(
    vector.result,
    'acceptable',
    `${describe(vector)}: nothing was decided for acceptable vectors`,
  )
  return vector.result === 'valid'
}

function describe({ tcId, comment, flags }: Vector): string {
  return `tcId ${tcId} (${[comment, ...(flags ?? [])].filter(Boolean).join(', ')})`
}

/** The bytes of a hexadecimal field. */
export function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text)
}
