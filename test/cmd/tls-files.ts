/** The files of a small mesh on disk, for the tools of the engine. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { mintIntermediate, mintRoot, mintSvid, pemOf, type MintOptions } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

export const CATALOG = 'spiffe://shop.example/ns/shop/sa/catalog'
export const WEB = 'spiffe://shop.example/ns/shop/sa/web'

export interface MeshFiles {
  readonly directory: string
  /** The root. */
  readonly ca: string
  /** A root that vouches for nobody here. */
  readonly otherCa: string
  /** A certificate that is both an SVID and good for `localhost` and loopback addresses. */
  readonly catalog: readonly ['--cert', string, '--key', string]
  readonly web: readonly ['--cert', string, '--key', string]
  /** Issues one more and returns its flags. */
  issue(
    name: string,
    id: string,
    options?: MintOptions,
  ): Promise<readonly ['--cert', string, '--key', string]>
}

export async function meshFiles(t: TestContext): Promise<MeshFiles> {
  const directory = await temporaryDirectory(t)
  const root = await mintRoot()
  const issuer = await mintIntermediate(root)
  const ca = join(directory, 'ca.pem')
  const otherCa = join(directory, 'other-ca.pem')
  await writeFile(ca, pemOf(root).cert)
  await writeFile(otherCa, pemOf(await mintRoot({ commonName: 'Another root' })).cert)
  const issue: MeshFiles['issue'] = async (name, id, options) => {
    const { cert, key } = pemOf(await mintSvid(issuer, id, options))
    const paths = [join(directory, `${name}.pem`), join(directory, `${name}.key`)] as const
    await writeFile(paths[0], cert)
    await writeFile(paths[1], key, { mode: 0o600 })
    return ['--cert', paths[0], '--key', paths[1]]
  }
  const names = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '::1'] }
  const catalog = await issue('catalog', CATALOG, names)
  const web = await issue('web', WEB)
  return { directory, ca, otherCa, catalog, web, issue }
}
