import type { PolicySource } from '../config/policy-config.ts'
import { ipBlockMatcher } from './ip-block.ts'
import { type Matcher, prefixMatcher, principalMatcher, valueMatcher } from './patterns.ts'
import { type Predicate, type RuleContext, whenUnknown } from './predicate.ts'
import type { Subject } from './subject.ts'

/** The conditions on who calls, in the order in which they are explained. */
export function sourcePredicates(source: PolicySource, context: RuleContext): Predicate[] {
  const { principals, notPrincipals, namespaces, notNamespaces, trustDomains, notTrustDomains } = source
  const { serviceAccounts, notServiceAccounts, ipBlocks, notIpBlocks } = source
  const { requestPrincipals, notRequestPrincipals } = source
  return [
    ...onPeer('principals', [principals, notPrincipals], principalMatcher, ({ principal }) => principal),
    ...onPeer('namespaces', [namespaces, notNamespaces], prefixMatcher, ({ namespace }) => namespace),
    ...onPeer(
      'serviceAccounts',
      [serviceAccounts, notServiceAccounts],
      literalMatcher,
      ({ serviceAccount }) => serviceAccount,
      (name) => qualifiedName(name, context),
    ),
    ...onPeer(
      'trustDomains',
      [trustDomains, notTrustDomains],
      literalMatcher,
      ({ trustDomain }) => trustDomain,
    ),
    ...onIpBlocks('ipBlocks', ipBlocks, true, context),
    ...onIpBlocks('notIpBlocks', notIpBlocks, false, context),
    ...onToken('requestPrincipals', requestPrincipals, true, context),
    ...onToken('notRequestPrincipals', notRequestPrincipals, false, context),
  ]
}

/** `namespace/name`: a service account without namespace is one of the policy's own. */
function qualifiedName(serviceAccount: string, { namespace }: Pick<RuleContext, 'namespace'>): string {
  return serviceAccount.includes('/') ? serviceAccount : `${namespace}/${serviceAccount}`
}

/** What a peer does not have is none of anything. */
function onPeer(
  field: string,
  [wanted, unwanted]: readonly [readonly string[] | undefined, readonly string[] | undefined],
  toMatcher: (patterns: readonly string[]) => Matcher,
  got: (subject: Subject) => string | undefined,
  qualified: (name: string) => string = (name) => name,
): Predicate[] {
  const predicate = (name: string, patterns: readonly string[], sign: boolean): Predicate => {
    const keys = patterns.map(qualified)
    const matches = toMatcher(keys)
    return {
      field: name,
      scope: 'peer',
      wanted: patterns,
      ...(sign && { keys }),
      got,
      holds(subject) {
        const value = got(subject)
        return (value !== undefined && matches(value)) === sign
      },
    }
  }
  return [
    ...(wanted ? [predicate(field, wanted, true)] : []),
    ...(unwanted ? [predicate(`not${field[0]!.toUpperCase()}${field.slice(1)}`, unwanted, false)] : []),
  ]
}

function onIpBlocks(
  field: string,
  blocks: readonly string[] | undefined,
  sign: boolean,
  context: RuleContext,
): Predicate[] {
  if (blocks === undefined) return []
  const matches = ipBlockMatcher(blocks)
  const unknown = whenUnknown(context)
  return [
    {
      field,
      scope: 'connection',
      wanted: blocks,
      got: ({ sourceIp }) => sourceIp,
      holds: ({ sourceIpBytes }) => (sourceIpBytes === undefined ? unknown : matches(sourceIpBytes) === sign),
    },
  ]
}

function onToken(
  field: string,
  patterns: readonly string[] | undefined,
  sign: boolean,
  context: RuleContext,
): Predicate[] {
  if (patterns === undefined) return []
  const matches = valueMatcher(patterns)
  const unknown = whenUnknown(context)
  return [
    {
      field,
      scope: 'http',
      wanted: patterns,
      got: ({ http }) => http?.token?.principal,
      holds({ http }) {
        if (http === undefined) return unknown
        return (http.token !== undefined && matches(http.token.principal)) === sign
      },
    },
  ]
}

function literalMatcher(names: readonly string[]): Matcher {
  const literals = new Set(names)
  return (text) => literals.has(text)
}
