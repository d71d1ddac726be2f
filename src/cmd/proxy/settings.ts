import type { IssueRequest } from '../../control/client.ts'
import { formatAddress } from '../../config/address.ts'
import { ConfigError } from '../../config/errors.ts'
import { parseYaml } from '../../config/parse.ts'
import { listenersOf, type ProxyConfig, proxyConfigSchema } from '../../config/proxy-config.ts'
import { formatField } from '../../config/yaml-position.ts'
import { readTrustBundlePem, TrustBundles } from '../../identity/trust-bundle.ts'
import { NetError } from '../../net/errors.ts'
import { parseContents, readOperatorFile, readSecretFile, type NamedFile } from '../files.ts'

/** What a proxy is started with: everything that the operator gave it, read and found good. */
export interface ProxySettings {
  readonly file: string
  readonly config: ProxyConfig
  /** Whom to trust before the controller has said more. */
  readonly bundles: TrustBundles
}

/**
 * Reads the configuration and the files that it names.
 *
 * @param flags what the command line says, which takes precedence over the file
 * @throws ConfigError
 */
export async function readProxySettings(
  file: string,
  flags: Partial<Pick<ProxyConfig, 'threads'>> = {},
): Promise<ProxySettings> {
  const text = await readOperatorFile({ path: file, field: '--config' })
  const config = { ...parseYaml(text, { file, schema: proxyConfigSchema }), ...flags }
  const bundleFile = { path: config.controller.trustBundleFile, field: 'spec.controller.trustBundleFile' }
  const pem = await readOperatorFile(bundleFile)
  const bundle = parseContents(bundleFile, 'certificates of authorities, in PEM', () =>
    readTrustBundlePem(config.trustDomain, pem),
  )
  // It is read again for each use; here only so that a mistake shows at once.
  await readToken(config)
  return { file, config, bundles: TrustBundles.of(bundle) }
}

/** The token as it is in its file now. @throws ConfigError */
export async function readToken({ controller }: ProxyConfig): Promise<Omit<IssueRequest, 'csr'>> {
  const { joinTokenFile, oidcTokenFile, serviceAccountTokenFile } = controller
  if (joinTokenFile !== undefined) {
    const file = { path: joinTokenFile, field: 'spec.controller.joinTokenFile' }
    return { joinToken: tokenIn(file, await readSecretFile(file)) }
  }
  // Kubernetes and build systems write these, with permissions of their own choice.
  if (oidcTokenFile !== undefined) {
    const file = { path: oidcTokenFile, field: 'spec.controller.oidcTokenFile' }
    return { oidcToken: tokenIn(file, await readOperatorFile(file)) }
  }
  const file = { path: serviceAccountTokenFile ?? '', field: 'spec.controller.serviceAccountTokenFile' }
  return { serviceAccountToken: tokenIn(file, await readOperatorFile(file)) }
}

function tokenIn(file: NamedFile, contents: string): string {
  const token = contents.trim()
  return parseContents(file, 'a token', () => {
    if (/^[\x21-\x7e]+$/.test(token)) return token
    throw new Error(token === '' ? 'the file is empty' : 'there is white space in it')
  })
}

/** The refusal of an address that another program has, in terms of the configuration; other errors as they are. */
export function asPortInUse(error: unknown, { file, config }: ProxySettings): unknown {
  if (!(error instanceof NetError) || error.code !== 'NET_ADDRESS_IN_USE' || error.address === undefined)
    return error
  const taken = formatAddress(error.address)
  const fields = [
    ...listenersOf(config).map(({ listen, path }) => ({
      listen,
      field: formatField(['spec', ...path, 'listen']),
    })),
    { listen: config.admin.listen, field: 'spec.admin.listen' },
  ]
  const field = fields.find(({ listen }) => formatAddress(listen) === taken)?.field ?? 'spec'
  const problem = {
    file,
    field,
    expected: 'a free address',
    got: `${taken}, which another program listens on`,
  }
  return new ConfigError('CONFIG_PORT_IN_USE', [problem], { cause: error })
}
