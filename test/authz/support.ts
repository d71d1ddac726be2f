import { createHash } from 'node:crypto'
import type { AuthorizationPolicy } from '../../src/config/policy-config.ts'
import { parsePolicies } from '../../src/authz/parse.ts'
import { type CompileOptions, compilePolicies } from '../../src/authz/compile.ts'
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
  return parsePolicies([{ name: `${name}.yaml`, text }])[0]!
}

/** The fields of an object of a class, to compare. */
export function fieldsOf(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value))
}

/** A set of such policies. */
export function policySet(...policies: readonly AuthorizationPolicy[]): PolicySet {
  return compilePolicies(policies, compileOptions())
}
