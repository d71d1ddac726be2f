import { type FSWatcher, statSync, watch } from 'node:fs'
import { basename, dirname } from 'node:path'
import { type LoadedPolicies, policyFingerprint } from './policy-files.ts'

/** Editors write a file in several steps: wait until they are done. */
const DEBOUNCE_MS = 200

/** Not every file system tells of changes (network mounts, some containers): look for ourselves, too. */
const POLL_MS = 2_000

export interface PolicyWatchOptions {
  /** A policy file, or a directory of them. */
  readonly path: string
  /** What is in force already. */
  readonly loaded: LoadedPolicies
  /** Reads the policies, whole. */
  readonly load: () => Promise<LoadedPolicies>
  /** Policies that are good as a whole, and differ from those before. */
  readonly onChange: (policies: LoadedPolicies) => void
  /** Policies that are refused as a whole; those before stay. */
  readonly onRefused: (error: unknown) => void
  /** @default 200 ms */
  readonly debounceMs?: number
  /** @default 2,000 ms */
  readonly pollMs?: number
}

/** Follows policy files as they change. */
export class PolicyWatch implements Disposable {
  readonly #options: PolicyWatchOptions
  readonly #debounceMs: number
  readonly #poll: NodeJS.Timeout
  #revision: string
  #fingerprint: string | undefined
  #watcher: FSWatcher | undefined
  #debounce: NodeJS.Timeout | undefined
  #reading: Promise<void> = Promise.resolve()
  #disposed = false

  constructor(options: PolicyWatchOptions) {
    this.#options = options
    this.#debounceMs = options.debounceMs ?? DEBOUNCE_MS
    this.#revision = options.loaded.revision
    this.#poll = setInterval(() => void this.#look(), options.pollMs ?? POLL_MS)
    this.#watch()
    // Between reading the files and watching them something may have changed.
    void this.reload()
  }

  /** Reads the files again, whether or not they seem to have changed. One reading at a time, in order. */
  reload(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read())
    return this.#reading
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.#watcher?.close()
    clearInterval(this.#poll)
    clearTimeout(this.#debounce)
  }

  async #look(): Promise<void> {
    const fingerprint = await policyFingerprint(this.#options.path)
    if (!this.#disposed && fingerprint !== this.#fingerprint) this.#soon()
  }

  #soon(): void {
    clearTimeout(this.#debounce)
    this.#debounce = setTimeout(() => void this.reload(), this.#debounceMs)
  }

  async #read(): Promise<void> {
    if (this.#disposed) return
    const { path, load, onChange, onRefused } = this.#options
    // Taken first: a change while we read is seen by the next look.
    this.#fingerprint = await policyFingerprint(path)
    try {
      const policies = await load()
      if (this.#disposed || policies.revision === this.#revision) return
      this.#revision = policies.revision
      onChange(policies)
    } catch (error) {
      if (!this.#disposed) onRefused(error)
    }
  }

  /** A directory is watched itself; a file through its directory, since editors replace files. */
  #watch(): void {
    const { path } = this.#options
    const file = isDirectory(path) ? undefined : basename(path)
    try {
      this.#watcher = watch(file === undefined ? path : dirname(path), (_event, name) => {
        if (file === undefined || name === null || name === file) this.#soon()
      })
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // No more watches to be had: the poll does it alone.
      this.#watcher = undefined
    }
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
