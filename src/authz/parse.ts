import { ConfigError, type Problem } from '../config/errors.ts'
import { type Located, parseYamlDocumentsLocated } from '../config/parse.ts'
import { type AuthorizationPolicy, authorizationPolicySchema } from '../config/policy-config.ts'
import { policyName } from './policy-name.ts'
import { deadPaths } from './policy-paths.ts'

/** A file of policies as it was read. */
export interface PolicyFile {
  /** As the operator named it; shown in problems. */
  readonly name: string
  readonly text: string
}

/**
 * Reads every AuthorizationPolicy in the files, each of which may hold any number of YAML documents. It is all or
 * nothing: one bad file refuses them all.
 *
 * @throws ConfigError CONFIG_SYNTAX, CONFIG_INVALID with the problems of all files
 */
export function parsePolicies(files: readonly PolicyFile[]): AuthorizationPolicy[] {
  const problems: (readonly Problem[])[] = []
  const read: (readonly Located<AuthorizationPolicy>[])[] = []
  let code: ConfigError['code'] = 'CONFIG_INVALID'
  for (const { name, text } of files) {
    try {
      read.push(parseYamlDocumentsLocated(text, { file: name, schema: authorizationPolicySchema }))
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown
      if (thrown.code === 'CONFIG_SYNTAX') code = thrown.code
      problems.push(thrown.problems)
    }
  }
  const located = read.flat()
  problems.push(located.flatMap(pathProblems), repeatedNames(located))
  const [first, ...others] = problems.flat()
  if (first !== undefined) throw new ConfigError(code, [first, ...others])
  return located.map(({ value }) => value)
}

function pathProblems(located: Located<AuthorizationPolicy>): Problem[] {
  return deadPaths(located.value).map(({ field, pattern, expected }) =>
    located.problem(field, { expected, got: JSON.stringify(pattern) }),
  )
}

function repeatedNames(located: readonly Located<AuthorizationPolicy>[]): Problem[] {
  const seen = new Set<string>()
  const problems: Problem[] = []
  for (const policy of located) {
    const name = policyName(policy.value)
    if (seen.has(name))
      problems.push(
        policy.problem(['metadata', 'name'], {
          expected: 'a name of its own',
          got: `${name}, which is taken`,
        }),
      )
    seen.add(name)
  }
  return problems
}
