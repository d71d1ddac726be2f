import { createHash } from 'node:crypto'
import type { AuthorizationPolicy } from '../../src/config/policy-config.ts'
import type { PolicyResource } from '../../src/config/policy-resource.ts'
import { parsePolicies } from '../../src/authz/parse.ts'
import { type CompileOptions, compilePolicies } from '../../src/authz/compile.ts'
import { policyResources } from '../../src/authz/resources.ts'
import type { PolicySet } from '../../src/authz/policy-set.ts'

/** Compile options with decision ids d1, d2, … */
export function compileOptions(): CompileOptions {
  let count = 0
  return {
    crypto: { digest: (hash, bytes) => createHash(hash).update(bytes).digest() },
    trustDomain: 'td',
    newId: () => `d${++count}`,
  }
}

/** A policy in the namespace shop, with its `spec` in YAML flow style. */
export function policy(name: string, spec: string, namespace = 'shop'): AuthorizationPolicy {
  const text = [
    'apiVersion: handfast.dev/v1alpha1',
    'kind: AuthorizationPolicy',
    `metadata: { name: ${name}, namespace: ${namespace} }`,
    `spec: ${spec}`,
  ].join('\n')
  return parsePolicies([{ name: `${name}.yaml`, text }]).authorizationPolicies[0]!
}

/** The fields of an object of a class that are there, to compare. */
export function fieldsOf(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined))
}

/** A set of such policies. */
export function policySet(...resources: readonly PolicyResource[]): PolicySet {
  return compilePolicies(policyResources(resources), compileOptions())
}
