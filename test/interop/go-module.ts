/** Programs in Go that need libraries: modules of their own, with what they need pinned by go.sum. */
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { probe } from '../support/peers.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** What go.mod asks for; Debian 12 has an older one. */
const GO = probe('go', ['version'], /go version go(1\.(?:2[4-9]|[3-9]\d)\S*)/)

/** A module proxy that is there has sent some tens of megabytes by then. */
const DOWNLOAD_DEADLINE_MS = 60_000

/** What Go takes from the network and keeps is what go.sum names, or nothing. */
const ENVIRONMENT = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly', CGO_ENABLED: '0' }

/** Builds one of the modules in test/interop/programs, or says why it cannot be had here. */
export interface GoModule {
  /** In words for `t.skip`; false where it can be built. */
  readonly skip: string | false
  /** @returns the path of the program */
  readonly build: (t: TestContext) => Promise<string>
}

export function goModule(name: string): GoModule {
  const cwd = join(import.meta.dirname, 'programs', name)
  if (typeof GO === 'string') return { skip: GO, build: () => Promise.reject(new Error(GO)) }
  const { path } = GO
  const options = { cwd, env: ENVIRONMENT, encoding: 'utf8' } as const
  const { status, stderr } = spawnSync(path, ['mod', 'download'], {
    ...options,
    timeout: DOWNLOAD_DEADLINE_MS,
  })
  return {
    skip: status === 0 ? false : `The Go modules of ${name} cannot be had: ${stderr.slice(0, 200)}`,
    async build(t) {
      const program = join(await temporaryDirectory(t), name)
      execFileSync(path, ['build', '-o', program, '.'], options)
      return program
    },
  }
}
