import { compilePolicies } from '../../authz/compile.ts'
import { parsePolicies } from '../../authz/parse.ts'
import type { PolicySet } from '../../authz/policy-set.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { readPolicyFiles } from '../controller/policy-files.ts'
import { UsageError } from '../errors.ts'

/** The flag that names policies. */
export const POLICY_OPTIONS = { file: { type: 'string', short: 'f', multiple: true } } as const

/** What the help of each verb says of it. */
export const POLICY_OPTIONS_HELP = `  -f, --file PATH          a policy file, or a directory whose *.yaml files are; may be repeated
`

/**
 * Reads policies and puts them to use as a proxy would.
 *
 * @throws UsageError, ConfigError with every problem of every file
 */
export async function readPolicies(
  paths: readonly string[] | undefined,
  trustDomain: string,
): Promise<PolicySet> {
  if (paths === undefined) throw new UsageError('--file: expected a policy file or a directory, got nothing')
  const files = (await Promise.all(paths.map(readPolicyFiles))).flat()
  // Nothing is told anybody by these decisions, so they need no names.
  return compilePolicies(parsePolicies(files), { crypto: nativeCrypto(), trustDomain, newId: () => '' })
}
