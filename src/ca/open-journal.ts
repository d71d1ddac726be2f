import { open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { CryptoProvider, PrivateKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import { makeDirectory, SECRET_DIRECTORY_MODE, SECRET_FILE_MODE, syncDirectory } from './durable-file.ts'
import { CaError } from './errors.ts'
import { loadCheckpoint } from './journal-checkpoint.ts'
import { damageError } from './journal-damage.ts'
import { JournalFile } from './journal-file.ts'
import { type JournalFiles, journalFiles } from './journal-files.ts'
import { hashJournalFile, importJournal } from './journal-import.ts'
import { journalKeySha256, loadJournalKey, makeJournalKey, publishJournalKey } from './journal-key.ts'
import { type IntactJournal, JOURNAL_START, type JournalPosition } from './journal-reader.ts'
import { scanJournal } from './journal-scan.ts'
import { isMissing, refuseOpenDirectory } from './secret-file.ts'

export interface OpenJournalOptions {
  readonly crypto: CryptoProvider
  readonly trustDomain: string
  readonly nowMs: () => number
  /** A journal of before there were signed heads, which becomes the beginning of this one. @default none */
  readonly older?: string
}

/**
 * Opens the journal of a directory for its one writer, or begins it. What a crash left after the last head is cut off, and
 * that is recorded; what was altered is refused.
 *
 * @throws CaError CA_JOURNAL_DAMAGED, CA_STORE_PERMISSIONS, CA_STORE_CORRUPT, CA_STORE_IO
 */
export async function openJournal(directory: string, options: OpenJournalOptions): Promise<JournalFile> {
  const files = journalFiles(directory)
  await makeDirectory(directory, SECRET_DIRECTORY_MODE)
  await refuseOpenDirectory(directory)
  const stored = await loadJournalKey(files, options.crypto)
  const begun = await exists(files.log)
  if (begun && stored === undefined)
    throw new CaError(
      'CA_STORE_CORRUPT',
      `${files.key}, the key of the journal, is missing; restore it from a backup, or move ${directory} away to begin another journal`,
    )
  const key = stored ?? (await makeJournalKey(files, options.crypto))
  await publishJournalKey(files, key)
  const olderSha256 = await hashOlder(options)
  if (!begun) await begin(files, key, { ...options, olderSha256 })
  if (olderSha256 !== undefined) await setAside(files, options.older!, olderSha256)
  return goOn(files, key, options)
}

async function hashOlder({ older, crypto }: OpenJournalOptions): Promise<string | undefined> {
  if (older === undefined || !(await exists(older))) return undefined
  return (await hashJournalFile(older, crypto)).toHex()
}

/** Makes the log beside its name, so that it has its first entries or is not there. */
async function begin(
  files: JournalFiles,
  key: PrivateKey,
  options: OpenJournalOptions & { readonly olderSha256: string | undefined },
): Promise<void> {
  const { crypto, trustDomain, nowMs, older, olderSha256 } = options
  const unfinished: JournalFiles = {
    ...files,
    log: `${files.log}.unfinished`,
    checkpoint: `${files.checkpoint}.unfinished`,
  }
  await working(files.log, async () => {
    await rm(unfinished.log, { force: true })
    await using file = await open(unfinished.log, 'wx', SECRET_FILE_MODE)
    await file.chmod(SECRET_FILE_MODE)
  })
  {
    await using journal = await JournalFile.open(unfinished, {
      crypto,
      key,
      nowMs,
      position: JOURNAL_START,
    })
    await journal.append({
      kind: 'begun',
      time: new Date(nowMs()).toISOString(),
      trustDomain,
      keySha256: journalKeySha256(key.publicKey, crypto),
      ...(olderSha256 !== undefined && { olderSha256 }),
    })
    if (olderSha256 !== undefined) await importJournal(older!, journal, { nowMs })
  }
  await working(files.log, async () => {
    await rm(unfinished.checkpoint, { force: true })
    await rename(unfinished.log, files.log)
    await syncDirectory(dirname(files.log))
  })
}

/** After its import, so that a crash in between does not lose it. */
async function setAside({ log }: JournalFiles, older: string, olderSha256: string): Promise<void> {
  if (!(await firstLine(log)).includes(`"olderSha256":"${olderSha256}"`))
    throw new CaError(
      'CA_STORE_CORRUPT',
      `${older} lies beside ${log}, which has begun without it; move it away, since it cannot be put in front of what has been signed`,
      { path: older },
    )
  await working(older, async () => {
    await rename(older, `${older}.imported`)
    await syncDirectory(dirname(older))
  })
}

async function firstLine(log: string): Promise<string> {
  return working(log, async () => {
    await using file = await open(log, 'r')
    for await (const line of file.readLines({ autoClose: false })) return line
    return ''
  })
}

async function goOn(
  files: JournalFiles,
  key: PrivateKey,
  { crypto, nowMs }: OpenJournalOptions,
): Promise<JournalFile> {
  const checkpoint = await loadCheckpoint(files, { crypto, key: key.publicKey })
  const { signed, tailBytes } = await readToEnd(files.log, { crypto, key, from: checkpoint ?? JOURNAL_START })
  const cutOff = tailBytes === 0 ? undefined : await cutTail(files.log, { signed, tailBytes, crypto })
  const journal = await JournalFile.open(files, { crypto, key, nowMs, position: signed })
  if (cutOff !== undefined)
    await journal.append({
      kind: 'recovered',
      time: new Date(nowMs()).toISOString(),
      bytes: tailBytes,
      sha256: cutOff.toHex(),
    })
  return journal
}

async function readToEnd(
  log: string,
  {
    crypto,
    key,
    from,
  }: { readonly crypto: CryptoProvider; readonly key: PrivateKey; readonly from: JournalPosition },
): Promise<IntactJournal> {
  for await (const step of scanJournal(log, { crypto, key: key.publicKey, from })) {
    if (step.kind === 'intact') return step
    if (step.kind === 'damaged')
      throw damageError(
        log,
        step,
        `keep it as evidence, and restore a copy, or move ${dirname(log)} away to begin another journal`,
      )
  }
  throw new CaError('CA_STORE_IO', `Cannot read the journal ${log} to its end`, { path: log })
}

/** What was cut off, as its SHA-256. */
async function cutTail(
  log: string,
  {
    signed,
    tailBytes,
    crypto,
  }: { readonly signed: JournalPosition; readonly tailBytes: number; readonly crypto: CryptoProvider },
): Promise<Uint8Array> {
  return working(log, async () => {
    await using file = await open(log, 'r+')
    using hash = crypto.hash('sha256')
    for await (const chunk of file.createReadStream({
      start: signed.offset,
      end: signed.offset + tailBytes - 1,
      autoClose: false,
    }))
      hash.update(chunk as Uint8Array)
    await file.truncate(signed.offset)
    await file.sync()
    return hash.digest()
  })
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw inoperable(path, error)
  }
}

async function working<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw inoperable(path, error)
  }
}

function inoperable(path: string, cause: unknown): CaError {
  return new CaError('CA_STORE_IO', `Cannot open the journal ${path}: ${messageOf(cause)}`, { path, cause })
}
