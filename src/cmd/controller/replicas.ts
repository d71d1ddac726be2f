/** Where the controllers that share a state directory keep what is their own. */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CaError } from '../../ca/errors.ts'
import { FileLease } from '../../ca/file-lease.ts'
import { journalFiles } from '../../ca/journal-files.ts'
import { isMissing } from '../../ca/secret-file.ts'
import { DEFAULT_REPLICA } from '../../config/controller-config.ts'
import { messageOf } from '../../errors.ts'
import { STATE_FILES } from './state-files.ts'

/** What one controller alone writes to: the state directory itself, unless the controller was given a name. */
export function replicaDirectory(stateDir: string, replica: string): string {
  return replica === DEFAULT_REPLICA ? stateDir : join(stateDir, STATE_FILES.replicas, replica)
}

/** The lease of a state directory. */
export function leaseOf(stateDir: string): FileLease {
  return new FileLease(join(stateDir, STATE_FILES.leader))
}

/** The directory of the controller that leads, or led last. @throws CaError CA_STORE_… */
export async function leaderDirectory(stateDir: string): Promise<string> {
  const leader = await leaseOf(stateDir).holder()
  return replicaDirectory(stateDir, leader?.holder ?? DEFAULT_REPLICA)
}

/** The journals of all controllers that have ever written to a state directory. @throws CaError CA_STORE_IO */
export async function journalLogs(stateDir: string): Promise<readonly string[]> {
  const logs: string[] = []
  for (const replica of [DEFAULT_REPLICA, ...(await namedReplicas(stateDir))]) {
    const { log } = journalFiles(join(replicaDirectory(stateDir, replica), STATE_FILES.journal))
    if (await isFile(log)) logs.push(log)
  }
  return logs
}

async function namedReplicas(stateDir: string): Promise<readonly string[]> {
  const path = join(stateDir, STATE_FILES.replicas)
  try {
    return (await readdir(path)).sort()
  } catch (error) {
    // A path that is a file has no controllers, either.
    if (isMissing(error) || (error instanceof Error && 'code' in error && error.code === 'ENOTDIR')) return []
    throw new CaError('CA_STORE_IO', `Cannot list ${path}: ${messageOf(error)}`, { path, cause: error })
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}
