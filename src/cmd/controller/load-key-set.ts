import { readFile } from 'node:fs/promises'
import { httpsRequest } from '../../ca/https-request.ts'
import type { KeySetSource } from '../../config/token-fields.ts'

/** A file is read again after this, since reading costs nothing. */
export const FILE_REFRESH_MS = 10_000

/** The text of a key set, from where it is published. @throws Error saying what stood in the way */
export async function loadKeySet(source: KeySetSource): Promise<string> {
  if (source.kind === 'file') return readFile(source.path, 'utf8')
  const { url, caFile } = source
  const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8')
  const { status, text } = await httpsRequest(url, {
    headers: { accept: 'application/json' },
    ...(ca !== undefined && { ca }),
  })
  if (status !== 200) throw new Error(`${url} answered with status ${status}`)
  return text
}
