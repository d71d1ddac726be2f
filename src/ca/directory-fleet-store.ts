import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../errors.ts'
import { makeDirectory, SECRET_DIRECTORY_MODE, SECRET_FILE_MODE } from './durable-file.ts'
import { CaError } from './errors.ts'
import type { FleetStore, PublishedFleet } from './fleet-store.ts'
import { readSecretFile, refuseOpenDirectory } from './secret-file.ts'

const FLEET_FILE = /^[a-z0-9-]+\.json$/

/** One file for each replica. They are renamed into place, and not flushed: after a crash they say nothing anyway. */
export class DirectoryFleetStore implements FleetStore {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Makes the directory unless it exists. @throws CaError CA_STORE_PERMISSIONS, CA_STORE_IO */
  static async open(directory: string): Promise<DirectoryFleetStore> {
    await makeDirectory(directory, SECRET_DIRECTORY_MODE)
    await refuseOpenDirectory(directory)
    return new DirectoryFleetStore(directory)
  }

  async publish(fleet: PublishedFleet): Promise<void> {
    const path = this.#path(fleet.replica)
    const unfinished = `${path}.unfinished`
    await working(path, async () => {
      await writeFile(unfinished, JSON.stringify(fleet), { mode: SECRET_FILE_MODE })
      await rename(unfinished, path)
    })
  }

  async retire(replica: string): Promise<void> {
    const path = this.#path(replica)
    await working(path, () => rm(path, { force: true }))
  }

  async list(): Promise<readonly PublishedFleet[]> {
    const names = await working(this.#directory, () => readdir(this.#directory))
    const fleets: PublishedFleet[] = []
    for (const name of names) {
      if (!FLEET_FILE.test(name)) continue
      const path = join(this.#directory, name)
      const text = await readSecretFile(path)
      if (text !== undefined) fleets.push(decode(path, text))
    }
    return fleets
  }

  #path(replica: string): string {
    return join(this.#directory, `${replica}.json`)
  }
}

function decode(path: string, text: string): PublishedFleet {
  try {
    const fleet = Object(JSON.parse(text)) as Partial<PublishedFleet>
    const { replica, untilMs, record, followers } = fleet
    if (typeof replica !== 'string' || typeof untilMs !== 'number' || typeof record !== 'string')
      throw new TypeError('expected replica, untilMs and record')
    if (!Array.isArray(followers)) throw new TypeError('expected followers')
    return fleet as PublishedFleet
  } catch (error) {
    throw new CaError('CA_STORE_CORRUPT', `${path} is not readable: ${messageOf(error)}; delete it`, {
      path,
      cause: error,
    })
  }
}

async function working<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new CaError('CA_STORE_IO', `Cannot use ${path}: ${messageOf(error)}`, { path, cause: error })
  }
}
