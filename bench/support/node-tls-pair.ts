import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { encodePem } from '../../src/pki/pem.ts'
import { mintSvid, mintTrustDomain, pemOf, type MintedTrustDomain } from '../../test/support/certificates.ts'
import { CATALOG, TRUST_DOMAIN, WEB, type Pair } from './pair.ts'
import { freePort, Program } from './program.ts'

const SOURCE = join(import.meta.dirname, 'node-tls-proxy.ts')

/**
 * Starts two proxies made of node:tls, with certificates of the kind that the controller issues: P-256 leaf, intermediate and root.
 *
 * @param programs takes what must be stopped
 */
export async function nodeTlsPair(
  directory: string,
  backendPort: number,
  programs: AsyncDisposableStack,
): Promise<Pair> {
  const domain = await mintTrustDomain(TRUST_DOMAIN)
  // As JavaScript, like Handfast's: to strip types at run time costs memory.
  const script = join(directory, 'node-tls-proxy.mjs')
  await writeFile(script, stripTypeScriptTypes(await readFile(SOURCE, 'utf8')))
  const [entry, gate] = [await freePort(), await freePort()]
  const proxies: Program[] = []
  for (const { direction, own, peer, port, next } of [
    { direction: 'in', own: CATALOG, peer: WEB, port: gate, next: backendPort },
    { direction: 'out', own: WEB, peer: CATALOG, port: entry, next: gate },
  ]) {
    const credentials = join(directory, `node-tls-${direction}`)
    await writeCredentials(credentials, domain, own)
    const args = [script, direction, String(port), String(next), credentials, peer]
    const program = programs.use(new Program(`node:tls ${direction}`, args))
    await program.line(({ message }) => message === 'ready')
    proxies.push(program)
  }
  return { name: 'node:tls pipes', port: entry, proxies, isConnectionForConnection: true }
}

async function writeCredentials(
  directory: string,
  { root, intermediate }: MintedTrustDomain,
  id: string,
): Promise<void> {
  await mkdir(directory, { mode: 0o700 })
  const { cert, key } = pemOf(await mintSvid(intermediate, id))
  await writeFile(join(directory, 'cert.pem'), cert)
  await writeFile(join(directory, 'key.pem'), key, { mode: 0o600 })
  await writeFile(join(directory, 'ca.pem'), encodePem('CERTIFICATE', root.certificate.der))
}
