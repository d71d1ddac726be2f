import { covers as blockCovers, parseCidr } from '../../config/cidr.ts'
import type {
  HeaderCondition,
  PolicyOperation,
  PolicyRule,
  PolicySource,
} from '../../config/policy-config.ts'
import {
  hostMatcher,
  type Matcher,
  pathMatcher,
  prefixMatcher,
  principalMatcher,
  valueMatcher,
} from '../patterns.ts'

/** Fields that want values; each has a negation. */
type WantingField = Exclude<keyof PolicySource | keyof PolicyOperation, `not${string}` | 'headers'>

/** An entry of `from` or `to`. */
type Entry = PolicySource | PolicyOperation

/** The fields that want values, with their negations. */
export const FIELD_PAIRS: Readonly<Record<WantingField, string>> = {
  principals: 'notPrincipals',
  namespaces: 'notNamespaces',
  serviceAccounts: 'notServiceAccounts',
  trustDomains: 'notTrustDomains',
  ipBlocks: 'notIpBlocks',
  requestPrincipals: 'notRequestPrincipals',
  ports: 'notPorts',
  methods: 'notMethods',
  hosts: 'notHosts',
  paths: 'notPaths',
  grpcServices: 'notGrpcServices',
  grpcMethods: 'notGrpcMethods',
}

/** Whether everything that `b` matches is matched by `a`. Where that is hard to tell it says no. */
export function ruleCovers(a: PolicyRule, b: PolicyRule): boolean {
  return (
    entriesCover(a.from, b.from) &&
    entriesCover(a.to, b.to) &&
    (a.when ?? []).every((condition) => (b.when ?? []).some((other) => isSame(condition, other)))
  )
}

/** Whether every value that the one matches is matched by the other, too. Where that is hard to tell it says no. */
export function valueCovers(field: string, pattern: string | number, value: string | number): boolean {
  if (pattern === value || pattern === '*') return true
  if (typeof pattern === 'number' || typeof value === 'number') return false
  if (field === 'ipBlocks') return blockCovers(parseCidr(pattern)!, parseCidr(value)!)
  const toMatcher = MATCHERS[field]
  if (toMatcher === undefined) return false
  if (!isPattern(value)) return toMatcher([pattern])(value)
  const isPrefix = pattern.endsWith('*') && value.endsWith('*') && !isPattern(pattern.slice(0, -1))
  return isPrefix && field !== 'principals' && value.startsWith(pattern.slice(0, -1))
}

const MATCHERS: Readonly<Record<string, (patterns: readonly string[]) => Matcher>> = {
  principals: principalMatcher,
  namespaces: prefixMatcher,
  requestPrincipals: valueMatcher,
  hosts: hostMatcher,
  paths: pathMatcher,
  grpcServices: prefixMatcher,
  grpcMethods: prefixMatcher,
}

/** Whether a value stands for more than itself. */
export function isPattern(value: string): boolean {
  return value.includes('*') || value.includes('{')
}

function entriesCover(a: readonly Entry[] | undefined, b: readonly Entry[] | undefined): boolean {
  if (a === undefined) return true
  return b !== undefined && b.every((other) => a.some((entry) => entryCovers(entry, other)))
}

function entryCovers(a: Entry, b: Entry): boolean {
  for (const [field, negation] of Object.entries(FIELD_PAIRS)) {
    if (!listCovers(field, values(a, field), values(b, field))) return false
    // Who excludes more matches less.
    if (!listCovers(field, values(b, negation), values(a, negation), values(a, negation) === undefined))
      return false
  }
  const headers = (entry: Entry): readonly HeaderCondition[] =>
    ('headers' in entry ? entry.headers : undefined) ?? []
  return headers(a).every((condition) => headers(b).some((other) => isSame(condition, other)))
}

/** @param unlessWanted the answer where there is no list to be covered by */
function listCovers(
  field: string,
  a: readonly (string | number)[] | undefined,
  b: readonly (string | number)[] | undefined,
  unlessWanted = a === undefined,
): boolean {
  if (unlessWanted) return true
  return (
    a !== undefined &&
    b !== undefined &&
    b.every((value) => a.some((pattern) => valueCovers(field, pattern, value)))
  )
}

/** The values of a field that has a list of them. */
export function values(entry: object, field: string): readonly (string | number)[] | undefined {
  return (entry as Readonly<Record<string, readonly (string | number)[] | undefined>>)[field]
}

function isSame(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
