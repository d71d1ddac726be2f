import type { AuthorizationPolicy, PolicyOperation } from '../config/policy-config.ts'
import { claimPath } from './condition-predicates.ts'
import { compileExpression } from './expression.ts'

/** What policies look at, and so must be able to: nothing else of a request is taken apart or kept. */
export interface PolicyReads {
  readonly method: boolean
  readonly path: boolean
  readonly host: boolean
  readonly grpc: boolean
  readonly sourceIp: boolean
  readonly tls: boolean
  /** In lower case. */
  readonly headers: ReadonlySet<string>
  /** Whether a JWT is asked for. */
  readonly token: boolean
  /** At the top of the token. */
  readonly claims: ReadonlySet<string>
}

/** What any of the policies reads. */
export function readsOf(policies: readonly AuthorizationPolicy[]): PolicyReads {
  const rules = policies.flatMap(({ spec }) => spec.rules)
  const sources = rules.flatMap(({ from }) => from ?? [])
  const operations = rules.flatMap(({ to }) => to ?? [])
  const conditions = rules.flatMap(({ when }) => when ?? [])
  const keys = conditions.flatMap(({ key }) => key ?? [])
  const claims = keys.flatMap((key) => claimPath(key)?.[0] ?? [])
  const expressions = conditions.flatMap(({ expression }) => {
    const compiled = expression === undefined ? undefined : compileExpression(expression)
    return compiled?.kind === 'expression' ? compiled.expression.reads : []
  })
  const inExpressions = (field: string): boolean =>
    expressions.some(({ requestFields }) => requestFields.has(field))
  const has = (...fields: readonly (keyof PolicyOperation)[]): boolean =>
    operations.some((operation) => fields.some((field) => operation[field] !== undefined))
  const grpc = has('grpcServices', 'notGrpcServices', 'grpcMethods', 'notGrpcMethods')
  return {
    method: has('methods', 'notMethods') || grpc || inExpressions('method'),
    path: has('paths', 'notPaths') || grpc || inExpressions('path'),
    host: has('hosts', 'notHosts') || inExpressions('host'),
    grpc,
    sourceIp:
      sources.some(({ ipBlocks, notIpBlocks }) => ipBlocks !== undefined || notIpBlocks !== undefined) ||
      expressions.some(({ variables }) => variables.has('source')),
    tls:
      keys.some((key) => key.startsWith('connection.')) ||
      expressions.some(({ variables }) => variables.has('connection')),
    headers: new Set([
      ...operations.flatMap(({ headers }) => headers?.map(({ name }) => name) ?? []),
      ...expressions.flatMap(({ headers }) => Array.from(headers)),
      ...(grpc ? ['content-type'] : []),
    ]),
    token:
      sources.some(
        ({ requestPrincipals, notRequestPrincipals }) =>
          requestPrincipals !== undefined || notRequestPrincipals !== undefined,
      ) ||
      claims.length > 0 ||
      inExpressions('auth'),
    claims: new Set([...claims, ...expressions.flatMap((reads) => Array.from(reads.claims))]),
  }
}
