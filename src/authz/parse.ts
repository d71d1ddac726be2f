import { ConfigError, type Problem } from '../config/errors.ts'
import { type Located, parseYamlDocumentsLocated } from '../config/parse.ts'
import { type PolicyResource, policyResourceSchema } from '../config/policy-resource.ts'
import type { ListenerFacts } from './listener-rule.ts'
import { policyName, resourceName } from './policy-name.ts'
import { policyResources, type PolicyResources } from './resources.ts'
import { unreachableRules } from './review/listeners.ts'
import { contradictions } from './review/contradictions.ts'
import { warningsOf } from './review/warnings.ts'
import { type ValueProblem, valueProblems } from './value-problems.ts'

/** A file of policies as it was read. */
export interface PolicyFile {
  /** As the operator named it; shown in problems. */
  readonly name: string
  readonly text: string
}

/** Policy that is good, with what its author may not have meant. */
export interface ReviewedPolicies {
  readonly resources: PolicyResources
  readonly warnings: readonly Problem[]
}

/**
 * Reads every policy resource in the files, each of which may hold any number of YAML documents. It is all or
 * nothing: one bad file refuses them all.
 *
 * @throws ConfigError CONFIG_SYNTAX, CONFIG_INVALID with the problems of all files
 */
export function parsePolicies(files: readonly PolicyFile[]): PolicyResources {
  return policyResources(readFiles(files).map(({ value }) => value))
}

/**
 * Reads every policy resource in the files like {@link parsePolicies}, and looks for what is allowed and more likely a mistake.
 *
 * @param listeners those of the proxy that the policy is for. @default not looked at
 * @throws ConfigError CONFIG_SYNTAX, CONFIG_INVALID with the problems of all files
 */
export function reviewPolicies(
  files: readonly PolicyFile[],
  listeners: readonly ListenerFacts[] = [],
): ReviewedPolicies {
  const located = readFiles(files)
  const resources = policyResources(located.map(({ value }) => value))
  const denying = resources.authorizationPolicies.filter(({ spec }) => spec.action === 'DENY')
  const warnings = located.flatMap((resource) =>
    [...warningsOf(resource.value, denying), ...unreachable(resource.value, listeners)].map(
      ({ field, expected, got }) => resource.problem(field, { expected, got }),
    ),
  )
  return { resources, warnings }
}

function unreachable(resource: PolicyResource, listeners: readonly ListenerFacts[]): ValueProblem[] {
  if (resource.kind !== 'AuthorizationPolicy' || listeners.length === 0) return []
  return unreachableRules(resource, listeners)
}

function readFiles(files: readonly PolicyFile[]): Located<PolicyResource>[] {
  const problems: (readonly Problem[])[] = []
  const read: (readonly Located<PolicyResource>[])[] = []
  let code: ConfigError['code'] = 'CONFIG_INVALID'
  for (const { name, text } of files) {
    try {
      read.push(parseYamlDocumentsLocated(text, { file: name, schema: policyResourceSchema }))
    } catch (thrown) {
      if (!(thrown instanceof ConfigError)) throw thrown
      if (thrown.code === 'CONFIG_SYNTAX') code = thrown.code
      problems.push(thrown.problems)
    }
  }
  const located = read.flat()
  problems.push(located.flatMap(problemsOf), repeatedNames(located), repeatedScopes(located))
  const [first, ...others] = problems.flat()
  if (first !== undefined) throw new ConfigError(code, [first, ...others])
  return located
}

function problemsOf(located: Located<PolicyResource>): Problem[] {
  if (located.value.kind !== 'AuthorizationPolicy') return []
  return [...valueProblems(located.value), ...contradictions(located.value)].map(({ field, expected, got }) =>
    located.problem(field, { expected, got }),
  )
}

/** Two resources with the same say about a workload, of which one would silently win. */
function repeatedScopes(located: readonly Located<PolicyResource>[]): Problem[] {
  const seen = new Map<string, string>()
  return located.flatMap((resource) => {
    const { value } = resource
    if (value.kind !== 'PeerAuthentication') return []
    const name = policyName(value)
    const { selector } = value.spec
    const accounts = selector?.serviceAccounts ?? ['*']
    return accounts.flatMap((account, index) => {
      const scope = `${value.metadata.namespace}/${account}`
      const other = seen.get(scope)
      seen.set(scope, other ?? name)
      if (other === undefined || other === name) return []
      const field = selector === undefined ? ['spec'] : ['spec', 'selector', 'serviceAccounts', index]
      const expected = 'one PeerAuthentication for each scope'
      return [resource.problem(field, { expected, got: `a second one beside ${other}` })]
    })
  })
}

function repeatedNames(located: readonly Located<PolicyResource>[]): Problem[] {
  const seen = new Set<string>()
  const problems: Problem[] = []
  for (const policy of located) {
    const name = resourceName(policy.value)
    if (seen.has(name)) {
      const isDefault = policy.value.kind === 'AuthorizationDefault'
      const expected = isDefault ? 'one AuthorizationDefault in a mesh' : 'a name of its own'
      const got = isDefault ? 'another' : `${policyName(policy.value)}, which is taken`
      problems.push(policy.problem(['metadata', 'name'], { expected, got }))
    }
    seen.add(name)
  }
  return problems
}
