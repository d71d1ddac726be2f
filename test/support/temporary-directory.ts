import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/** A new directory that is removed, with all in it, when the test ends. */
export async function temporaryDirectory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'handfast-'))
  // A process that the test ends later may still be writing.
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }))
  return path
}
