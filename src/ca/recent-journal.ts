import { open, type FileHandle } from 'node:fs/promises'
import { messageOf } from '../errors.ts'
import { CaError } from './errors.ts'

/** An issued certificate as the journal has it. */
export interface RecordedCertificate {
  readonly spiffeId: string
  readonly proof: string
  /** Hexadecimal. */
  readonly serialNumber: string
  /** The serial number of the one that it takes the place of. */
  readonly renews?: string
  /** The serial number of the proxy's beside which its workload holds it. */
  readonly beside?: string
  /** SHA-256 of its DER, hexadecimal. */
  readonly certificateSha256?: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** The end of a journal. */
export interface RecentJournal {
  /** Newest first. */
  readonly issued: readonly RecordedCertificate[]
  /** When the last entry was written, issued or refused; undefined when there is none. */
  readonly lastEntryMs: number | undefined
  /** Lines that are no JSON; whoever wants to know why verifies the journal. */
  readonly unreadable: number
}

/** Reads pieces of this size, from the end: two thousand entries. */
const PIECE_BYTES = 1024 * 1024

const LINE_FEED = 0x0a

/**
 * What a journal says of the time since `sinceMs`, read from its end and without verification: it costs as much as was
 * issued in that time, however old the journal is, and no key. What is being written at the moment is left out.
 *
 * @throws CaError CA_STORE_IO
 */
export async function readRecentJournal(log: string, sinceMs: number): Promise<RecentJournal> {
  const issued: RecordedCertificate[] = []
  let lastEntryMs: number | undefined
  let unreadable = 0
  for await (const line of linesFromEnd(log)) {
    const entry = parse(line)
    if (entry === undefined) unreadable++
    const writtenMs = Date.parse(String(entry?.['time']))
    if (entry === undefined || Number.isNaN(writtenMs)) continue
    lastEntryMs ??= writtenMs
    if (writtenMs < sinceMs) break
    const certificate = certificateOf(entry, writtenMs)
    if (certificate !== undefined) issued.push(certificate)
  }
  return { issued, lastEntryMs, unreadable }
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function certificateOf(
  {
    kind,
    spiffeId,
    proof,
    serialNumber,
    renews,
    beside,
    notAfter,
    certificateSha256,
  }: Readonly<Record<string, unknown>>,
  issuedAtMs: number,
): RecordedCertificate | undefined {
  const expiresAtMs = Date.parse(String(notAfter))
  if (kind !== 'issued' || Number.isNaN(expiresAtMs)) return undefined
  if (typeof spiffeId !== 'string' || typeof proof !== 'string' || typeof serialNumber !== 'string')
    return undefined
  return {
    spiffeId,
    proof,
    serialNumber,
    ...(typeof renews === 'string' && { renews }),
    ...(typeof beside === 'string' && { beside }),
    ...(typeof certificateSha256 === 'string' && { certificateSha256 }),
    issuedAtMs,
    expiresAtMs,
  }
}

/** The whole lines of a file, the last one first; what follows the last line feed is none. */
async function* linesFromEnd(path: string): AsyncGenerator<string, void, undefined> {
  await using file = await working(path, () => open(path, 'r'))
  /** What has been read and goes on to the left. */
  let rest: Buffer = Buffer.alloc(0)
  let ended = false
  for (let end = (await working(path, () => file.stat())).size; end > 0;) {
    const begin = Math.max(0, end - PIECE_BYTES)
    let bytes = Buffer.concat([await working(path, () => readExactly(file, begin, end - begin)), rest])
    end = begin
    if (!ended) {
      const last = bytes.lastIndexOf(LINE_FEED)
      if (last === -1) {
        rest = bytes
        continue
      }
      bytes = bytes.subarray(0, last)
      ended = true
    }
    for (let feed = bytes.lastIndexOf(LINE_FEED); feed !== -1; feed = bytes.lastIndexOf(LINE_FEED)) {
      yield bytes.toString('utf8', feed + 1)
      bytes = bytes.subarray(0, feed)
    }
    rest = bytes
  }
  if (ended) yield rest.toString('utf8')
}

async function readExactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(length), position })
  return buffer.subarray(0, bytesRead)
}

async function working<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new CaError('CA_STORE_IO', `Cannot read the journal ${path}: ${messageOf(error)}`, {
      path,
      cause: error,
    })
  }
}
