import type { AuthorizationPolicy } from '../../config/policy-config.ts'
import { trustDomainOf } from '../../config/spiffe.ts'
import { principalMatcher } from '../patterns.ts'
import { policyName } from '../policy-name.ts'
import type { PolicySet } from '../policy-set.ts'
import type { Workload } from '../request.ts'
import type { FlightLine, FlightProxy } from './flight-line.ts'
import { recordedQuestion, unknownsOf } from './known-request.ts'

/** A rule, by its policy's `namespace/name` and its place there. */
export interface RulePlace {
  readonly policy: string
  readonly rule: number
}

/** A port of a workload. */
export interface WorkloadPort {
  readonly workload: Workload
  readonly port: number
}

/** How policy and traffic fit together. */
export interface Coverage {
  /** Workloads in the log that no ALLOW policy in force is for. */
  readonly withoutPolicy: readonly Workload[]
  /** Rules that decided no call, and as rules of AUDIT policies noted none. */
  readonly neverHit: readonly RulePlace[]
  /** Principals in policy that nobody has; empty when it is not known who there is. */
  readonly unknownPrincipals: readonly (RulePlace & { readonly principal: string })[]
  /** Ports that rules name and that the workload does not listen on. */
  readonly guardedNotOpen: readonly (WorkloadPort & { readonly policies: readonly string[] })[]
  /** Ports that a workload listens on and that no rule of its policies is for. */
  readonly openNotGuarded: readonly WorkloadPort[]
  /** Calls that could not be judged, because policy reads what was not recorded. */
  readonly unknownCalls: number
}

export interface CoverageOptions {
  readonly policies: PolicySet
  /** SPIFFE IDs that were issued; undefined when nobody knows. */
  readonly identities?: readonly string[] | undefined
}

/** Holds policy against a flight log. */
export function coverageOf(lines: Iterable<FlightLine>, { policies, identities }: CoverageOptions): Coverage {
  const hits = new Set<string>()
  const workloads = new Map<string, Workload>()
  const proxies = new Map<string, FlightProxy & { readonly workload: Workload }>()
  let unknownCalls = 0
  for (const line of lines) {
    // Whom nobody can call needs no policy.
    if (line.kind === 'proxy' && line.workload !== undefined && line.listeners.length > 0) {
      const name = workloadName(line.workload)
      workloads.set(name, line.workload)
      proxies.set(name, { ...line, workload: line.workload })
    }
    // Of a token that does not hold policy was not asked.
    if (line.kind !== 'decision' || line.cause === 'invalid-token') continue
    const { request } = line
    workloads.set(workloadName(request.workload), request.workload)
    const policy = policies.forWorkload(request.workload)
    if (unknownsOf(request, policy.reads).length > 0) {
      unknownCalls++
      continue
    }
    const { policy: name, rule, audited, dryRun } = policy.decide(recordedQuestion(request))
    for (const hit of [{ policy: name, rule }, ...(audited ?? []), ...(dryRun ? [dryRun] : [])])
      if (hit.policy !== undefined && hit.rule !== undefined) hits.add(ruleKey(hit.policy, hit.rule))
  }
  const all = policies.resources.authorizationPolicies
  const ports = [...proxies.values()].map(({ workload, listeners }) => ({
    workload,
    open: new Set(listeners.map(({ port }) => port)),
    policies: policies.selectedFor(workload).authorizationPolicies,
  }))
  return {
    withoutPolicy: [...workloads.values()].filter(
      (workload) => !policies.selectedFor(workload).authorizationPolicies.some(isAllowInForce),
    ),
    neverHit: all.flatMap((policy) =>
      policy.spec.rules
        .map((_, rule) => ({ policy: policyName(policy), rule }))
        .filter(({ policy: name, rule }) => !hits.has(ruleKey(name, rule))),
    ),
    unknownPrincipals:
      identities === undefined ? [] : unknownPrincipals(all, policies.trustDomain, identities),
    guardedNotOpen: ports.flatMap(guardedNotOpen),
    openNotGuarded: ports.flatMap(({ workload, open, policies: selected }) =>
      [...open]
        .filter((port) => !selected.some((policy) => isFor(policy, port)))
        .map((port) => ({ workload, port })),
    ),
    unknownCalls,
  }
}

/** Whether everything fits. */
export function isCovered(coverage: Coverage): boolean {
  const { unknownCalls, ...lists } = coverage
  return unknownCalls === 0 && Object.values(lists).every((list) => list.length === 0)
}

interface WorkloadPorts {
  readonly workload: Workload
  readonly open: ReadonlySet<number>
  readonly policies: readonly AuthorizationPolicy[]
}

function guardedNotOpen({ workload, open, policies }: WorkloadPorts): Coverage['guardedNotOpen'] {
  const guarded = new Map<number, Set<string>>()
  for (const policy of policies) {
    // A policy for every workload of a namespace, or of the mesh, names ports that only some of them have.
    if (policy.spec.selector === undefined) continue
    for (const port of policy.spec.rules.flatMap(({ to }) => to?.flatMap(({ ports }) => ports ?? []) ?? []))
      if (!open.has(port)) guarded.set(port, (guarded.get(port) ?? new Set()).add(policyName(policy)))
  }
  return [...guarded].map(([port, names]) => ({ workload, port, policies: [...names] }))
}

/** Whether a rule of the policy can match at a port. */
function isFor({ spec }: AuthorizationPolicy, port: number): boolean {
  return spec.rules.some(
    ({ to }) =>
      to === undefined ||
      to.some(({ ports, notPorts }) => (ports?.includes(port) ?? true) && notPorts?.includes(port) !== true),
  )
}

function unknownPrincipals(
  policies: readonly AuthorizationPolicy[],
  trustDomain: string,
  identities: readonly string[],
): Coverage['unknownPrincipals'] {
  return policies.flatMap((policy) =>
    policy.spec.rules.flatMap(({ from }, rule) =>
      (from ?? [])
        .flatMap(({ principals = [], notPrincipals = [] }) => principals.concat(notPrincipals))
        // Who there is in other trust domains is for them to know.
        .filter((principal) => principal !== '*' && trustDomainOf(principal) === trustDomain)
        .filter((principal) => !identities.some(principalMatcher([principal])))
        .map((principal) => ({ policy: policyName(policy), rule, principal })),
    ),
  )
}

function isAllowInForce({ spec }: AuthorizationPolicy): boolean {
  return spec.action === 'ALLOW' && spec.dryRun !== true
}

function workloadName({ namespace, serviceAccount }: Workload): string {
  return `${namespace}/${serviceAccount}`
}

function ruleKey(policy: string, rule: number): string {
  return `${policy} ${rule}`
}
