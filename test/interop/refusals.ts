/** What every refusal must show: nothing let through, a failure's exit code, a cause in words and a remedy. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { mintRoot, mintSvid, pemOf } from '../support/certificates.ts'
import { meshFiles, WEB, CATALOG, type MeshFiles } from '../cmd/tls-files.ts'
import type { PeerResult } from '../support/peers.ts'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What nobody may see who did not verify the other side. */
export const SECRET = 'for verified eyes only\n'

type CredentialFlags = MeshFiles['web']

/** A small mesh, with certificates that nobody should accept. */
export interface RefusalFiles extends MeshFiles {
  readonly expired: CredentialFlags
  readonly notYetValid: CredentialFlags
  /** By a root that vouches for nobody here. */
  readonly wrongCa: CredentialFlags
  readonly twoUris: CredentialFlags
  /** Another workload than the one expected, and good for no host name. */
  readonly otherWorkload: CredentialFlags
  /** Its SPIFFE ID is of another trust domain than the root that vouches for it. */
  readonly foreign: CredentialFlags
}

const HOUR_MS = 3_600_000

export async function refusalFiles(t: TestContext): Promise<RefusalFiles> {
  const files = await meshFiles(t)
  const names = { dnsNames: ['localhost'] }
  const issue = (name: string, options: Parameters<MeshFiles['issue']>[2]): Promise<CredentialFlags> =>
    files.issue(name, WEB, { ...names, ...options })
  return {
    ...files,
    expired: await issue('expired', { nowMs: Date.now() - 3 * HOUR_MS }),
    notYetValid: await issue('not-yet-valid', { nowMs: Date.now() + 3 * HOUR_MS }),
    wrongCa: await issueElsewhere(files.directory),
    twoUris: await issue('two-uris', { uris: [WEB, CATALOG] }),
    otherWorkload: await files.issue('other-workload', 'spiffe://shop.example/ns/shop/sa/other'),
    foreign: await files.issue('foreign', 'spiffe://other.example/ns/shop/sa/web'),
  }
}

/** Checks what our tool said to its operator: the cause first, then evidence, meaning and remedy; no stack. */
function checkOperatorText({ code, stderr }: PeerResult, cause: string): void {
  assert.equal(code, 1, stderr)
  assert.match(stderr, new RegExp(`^handfast: ${cause}: \\S.*[^.\n]$`, 'm'))
  assert.match(stderr, /^ {2}meaning {3}\S.*$/m)
  assert.match(stderr, /^ {2}remedy {4}\S.*$/m)
  assert.doesNotMatch(stderr, /^ {4}at /m)
}

/** Checks that a server refused, and that no byte reached what stands behind it. */
export function checkServerRefused(result: PeerResult, cause: string): void {
  checkOperatorText(result, cause)
  assert.match(result.stderr, /^handfast: Connection 1 from \S+: refused$/m)
  assert.doesNotMatch(result.stderr, /echoed/)
}

/** Checks that a client refused, or was refused, and passed nothing on. */
export function checkClientRefused(result: PeerResult, cause: string): void {
  checkOperatorText(result, cause)
  assert.equal(result.stdout, '')
}

async function issueElsewhere(directory: string): Promise<CredentialFlags> {
  const root = await mintRoot({ commonName: 'A root of elsewhere' })
  const { cert, key } = pemOf(await mintSvid(root, WEB, { dnsNames: ['localhost'] }))
  const paths = [join(directory, 'wrong-ca.pem'), join(directory, 'wrong-ca.key')] as const
  await writeFile(paths[0], cert)
  await writeFile(paths[1], key, { mode: 0o600 })
  return ['--cert', paths[0], '--key', paths[1]]
}
