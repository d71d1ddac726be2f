import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { reviewPolicies, type PolicyFile } from '../../authz/parse.ts'
import { compilePolicies } from '../../authz/compile.ts'
import { allResources, type PolicyResources } from '../../authz/resources.ts'
import { serializePolicies } from '../../authz/serialize.ts'
import { ConfigError, type Problem } from '../../config/errors.ts'
import { keySetSources } from '../../config/request-authentication-config.ts'
import type { KeySetSource } from '../../config/token-fields.ts'
import { parseJwks } from '../../crypto/jws.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { messageOf } from '../../errors.ts'
import { readOperatorFile } from '../files.ts'

/** More than operators write by hand: the directory is another one by mistake. */
const MAX_FILES = 1_000

/** All policies there are, in the form that proxies get. */
export interface LoadedPolicies {
  /** What serializePolicies made of them. */
  readonly text: string
  readonly revision: string
  readonly count: number
  /** Where issuers of tokens publish the keys that policy asks for. */
  readonly keySetSources: readonly KeySetSource[]
  /** What is allowed and more likely a mistake. */
  readonly warnings: readonly Problem[]
}

export interface LoadPoliciesOptions {
  /** A policy file, or a directory; undefined for a mesh whose operator wrote none. */
  readonly path: string | undefined
  readonly crypto: CryptoProvider
  readonly trustDomain: string
}

/**
 * Reads a policy file, or every `*.yaml` and `*.yml` file right in a directory. It is all or nothing.
 *
 * @throws ConfigError with every problem of every file
 */
export async function loadPolicies({
  path,
  crypto,
  trustDomain,
}: LoadPoliciesOptions): Promise<LoadedPolicies> {
  const { resources, warnings } = reviewPolicies(path === undefined ? [] : await readPolicyFiles(path))
  // Proxies decide; here only what they will make of it is checked and numbered.
  const { revision } = compilePolicies(resources, { crypto, trustDomain, newId: () => '' })
  checkKeySets(resources, crypto)
  return {
    text: serializePolicies(resources),
    revision,
    count: allResources(resources).length,
    warnings,
    keySetSources: keySetSources(resources.requestAuthentications),
  }
}

/** Makes sure that key sets in policy can be used. @throws ConfigError CONFIG_INVALID when one cannot */
export function checkKeySets({ requestAuthentications }: PolicyResources, crypto: CryptoProvider): void {
  for (const { metadata, spec } of requestAuthentications)
    for (const [index, { jwks }] of spec.jwtRules.entries()) {
      if (jwks === undefined) continue
      try {
        parseJwks(jwks, crypto)
      } catch (error) {
        const name = `${metadata.namespace}/${metadata.name}`
        throw new ConfigError('CONFIG_INVALID', [
          {
            file: `RequestAuthentication ${name}`,
            field: `spec.jwtRules[${index}].jwks`,
            expected: 'keys that can verify tokens',
            got: `something else: ${messageOf(error)}`,
          },
        ])
      }
    }
}

/**
 * The text of a policy file, or of every `*.yaml` and `*.yml` file right in a directory.
 *
 * @throws ConfigError CONFIG_MISSING_FILE, CONFIG_UNREADABLE, CONFIG_INVALID
 */
export async function readPolicyFiles(path: string): Promise<PolicyFile[]> {
  const files: PolicyFile[] = []
  for (const name of await policyFileNames(path))
    files.push({ name, text: await readOperatorFile({ path: name, field: '' }) })
  return files
}

/** Changes when any of the files that {@link loadPolicies} would read has changed, as far as the file system tells. */
export async function policyFingerprint(path: string): Promise<string> {
  try {
    const names = await policyFileNames(path)
    const stats = await Promise.all(names.map((name) => stat(name)))
    return JSON.stringify(stats.map(({ ino, size, mtimeMs }, index) => [names[index], ino, size, mtimeMs]))
  } catch (error) {
    return `unreadable: ${messageOf(error)}`
  }
}

async function policyFileNames(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = (await readdir(path)).filter((name) => /^[^.].*\.ya?ml$/.test(name)).sort()
    if (names.length > MAX_FILES)
      throw problem('CONFIG_INVALID', path, `at most ${MAX_FILES} policy files`, `${names.length}`)
    return names.map((name) => join(path, name))
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): ConfigError {
  if (error instanceof ConfigError) return error
  const missing = (error as { readonly code?: unknown }).code === 'ENOENT'
  return missing
    ? problem('CONFIG_MISSING_FILE', path, 'a policy file or a directory of them', 'nothing there')
    : problem('CONFIG_UNREADABLE', path, 'a policy file or a directory of them', messageOf(error))
}

function problem(code: ConfigError['code'], file: string, expected: string, got: string): ConfigError {
  return new ConfigError(code, [{ file, field: '', expected, got }])
}
