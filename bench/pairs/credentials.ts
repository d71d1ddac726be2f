import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encodePem } from '../../src/pki/pem.ts'
import { mintSvid, mintTrustDomain, pemOf } from '../../test/support/certificates.ts'
import { CATALOG, CATALOG_NAME, TRUST_DOMAIN, WEB } from './pair.ts'

/** Directories with the files of one side each. */
export interface Credentials {
  readonly web: string
  readonly catalog: string
}

/**
 * Writes credentials of the kind that the controller issues, P-256 leaf, intermediate and root, for peers that read files: `cert.pem`
 * with the chain, `key.pem`, `both.pem` with the two of them, and `ca.pem`.
 */
export async function writeCredentials(directory: string): Promise<Credentials> {
  const { root, intermediate } = await mintTrustDomain(TRUST_DOMAIN)
  const ca = encodePem('CERTIFICATE', root.certificate.der)
  const write = async (name: string, id: string, dnsNames: readonly string[]): Promise<string> => {
    const own = join(directory, name)
    await mkdir(own, { mode: 0o700, recursive: true })
    const { cert, key } = pemOf(await mintSvid(intermediate, id, { dnsNames }))
    await writeFile(join(own, 'cert.pem'), cert)
    await writeFile(join(own, 'ca.pem'), ca)
    await writeFile(join(own, 'key.pem'), key, { mode: 0o600 })
    await writeFile(join(own, 'both.pem'), cert + key, { mode: 0o600 })
    return own
  }
  return { web: await write('web', WEB, []), catalog: await write('catalog', CATALOG, [CATALOG_NAME]) }
}
