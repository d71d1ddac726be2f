import type { HeaderCondition, PolicyOperation } from '../config/policy-config.ts'
import { hostMatcher, type Matcher, pathMatcher, prefixMatcher, valueMatcher } from './patterns.ts'
import { type Predicate, type RuleContext, whenUnknown } from './predicate.ts'
import { isSecretHeader } from './recorded-request.ts'
import type { HttpSubject } from './subject.ts'

/** The conditions on what is called, in the order in which they are explained. */
export function operationPredicates(operation: PolicyOperation, context: RuleContext): Predicate[] {
  const { ports, notPorts, methods, notMethods, hosts, notHosts, paths, notPaths, headers = [] } = operation
  const { grpcServices, notGrpcServices, grpcMethods, notGrpcMethods } = operation
  const http = (
    field: string,
    patterns: readonly string[] | undefined,
    toMatcher: (patterns: readonly string[]) => Matcher,
    got: (http: HttpSubject) => string | undefined,
  ): Predicate[] =>
    patterns === undefined ? [] : [onHttp(field, patterns, { matches: toMatcher(patterns), got }, context)]
  const grpc = (
    field: string,
    patterns: readonly string[] | undefined,
    part: 'service' | 'method',
  ): Predicate[] => (patterns === undefined ? [] : [onGrpc(field, patterns, part, context)])
  return [
    ...onPort('ports', ports, true),
    ...onPort('notPorts', notPorts, false),
    ...http('methods', methods, prefixMatcher, ({ method }) => method),
    ...http('notMethods', notMethods, prefixMatcher, ({ method }) => method),
    ...http('hosts', hosts, hostMatcher, ({ host }) => host),
    ...http('notHosts', notHosts, hostMatcher, ({ host }) => host),
    ...http('paths', paths, pathMatcher, ({ path }) => path),
    ...http('notPaths', notPaths, pathMatcher, ({ path }) => path),
    ...headers.flatMap((condition, index) => onHeader(condition, index, context)),
    ...grpc('grpcServices', grpcServices, 'service'),
    ...grpc('notGrpcServices', notGrpcServices, 'service'),
    ...grpc('grpcMethods', grpcMethods, 'method'),
    ...grpc('notGrpcMethods', notGrpcMethods, 'method'),
  ]
}

function onPort(field: string, wanted: readonly number[] | undefined, sign: boolean): Predicate[] {
  if (wanted === undefined) return []
  const ports = new Set(wanted)
  return [
    { field, scope: 'port', wanted, got: ({ port }) => port, holds: ({ port }) => ports.has(port) === sign },
  ]
}

function onHttp(
  field: string,
  wanted: readonly string[],
  { matches, got }: { readonly matches: Matcher; readonly got: (http: HttpSubject) => string | undefined },
  context: RuleContext,
): Predicate {
  const sign = !isNegation(field)
  const unknown = whenUnknown(context)
  return {
    field,
    scope: 'http',
    wanted,
    ...(sign && { keys: wanted }),
    got: ({ http }) => http && got(http),
    holds({ http }) {
      const value = http && got(http)
      return value === undefined ? unknown : matches(value) === sign
    },
  }
}

/**
 * A header may come in several lines, and who knows which of them the application reads: an ALLOW needs the condition of
 * every line, a DENY of any. No line is no value.
 */
function onHeader(
  { name, values, notValues }: HeaderCondition,
  index: number,
  context: RuleContext,
): Predicate[] {
  const unknown = whenUnknown(context)
  const predicate = (field: string, patterns: readonly string[], sign: boolean): Predicate => {
    const matches = valueMatcher(patterns)
    return {
      field: `headers[${index}].${field}`,
      scope: 'http',
      wanted: patterns,
      got: ({ http }) => shownHeader(name, http?.headers.get(name)),
      holds({ http }) {
        if (http === undefined) return unknown
        const lines = http.headers.get(name)
        if (lines === undefined || lines.length === 0) return !sign
        const isMet = (line: string): boolean => matches(line) === sign
        return context.action === 'ALLOW' ? lines.every(isMet) : lines.some(isMet)
      },
    }
  }
  return [
    ...(values ? [predicate('values', values, true)] : []),
    ...(notValues ? [predicate('notValues', notValues, false)] : []),
  ]
}

function shownHeader(name: string, lines: readonly string[] | undefined): string | undefined {
  if (lines === undefined || lines.length === 0) return undefined
  return isSecretHeader(name) ? '(not shown)' : lines.join(', ')
}

/** A DENY takes a path alone for a call, because servers do; an ALLOW wants it to be one in all respects. */
function onGrpc(
  field: string,
  wanted: readonly string[],
  part: 'service' | 'method',
  context: RuleContext,
): Predicate {
  const matches = prefixMatcher(wanted)
  const sign = !isNegation(field)
  const unknown = whenUnknown(context)
  return {
    field,
    scope: 'http',
    wanted,
    got: ({ http }) => http?.grpc?.[part],
    holds({ http }) {
      if (http === undefined) return unknown
      const { grpc } = http
      if (context.action === 'ALLOW') return grpc?.certain === true && matches(grpc[part]) === sign
      return (grpc !== undefined && matches(grpc[part])) === sign
    },
  }
}

function isNegation(field: string): boolean {
  return field.startsWith('not')
}
