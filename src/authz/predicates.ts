import type { PolicyOperation, PolicySource } from '../config/policy-config.ts'
import { prefixMatcher, principalMatcher } from './patterns.ts'

/** What the predicates look at: a request, taken apart once. */
export interface Subject {
  readonly principal: string
  /** Of the principal, when it belongs to the mesh's own trust domain and has one. */
  readonly namespace: string | undefined
  readonly port: number
  /** Absent for a connection that carries bytes. */
  readonly method: string | undefined
  /** In the spelling of `normalizePath`. */
  readonly path: string | undefined
}

/** One condition of a rule, with what it takes to explain it. */
export interface Predicate {
  /** The field's name in the policy. */
  readonly field: keyof PolicySource | keyof PolicyOperation
  readonly wanted: readonly (string | number)[]
  /** The part of the subject that it looks at. */
  got(subject: Subject): string | number | undefined
  holds(subject: Subject): boolean
}

/** The conditions on who calls, cheapest to explain first. */
export function sourcePredicates(source: PolicySource): Predicate[] {
  const { principals, notPrincipals, namespaces, notNamespaces } = source
  return [
    ...(principals ? [onPrincipal('principals', principals, true)] : []),
    ...(notPrincipals ? [onPrincipal('notPrincipals', notPrincipals, false)] : []),
    ...(namespaces ? [onNamespace('namespaces', namespaces, true)] : []),
    ...(notNamespaces ? [onNamespace('notNamespaces', notNamespaces, false)] : []),
  ]
}

/** The conditions on what is called that every connection can be asked about. */
export function connectionPredicates(operation: PolicyOperation): Predicate[] {
  const { ports, notPorts } = operation
  return [
    ...(ports ? [onPort('ports', ports, true)] : []),
    ...(notPorts ? [onPort('notPorts', notPorts, false)] : []),
  ]
}

/** The conditions on what is called that only an HTTP request can be asked about; it fails all others. */
export function httpPredicates(operation: PolicyOperation): Predicate[] {
  const { methods, notMethods, paths, notPaths } = operation
  return [
    ...(methods ? [onMethod('methods', methods, true)] : []),
    ...(notMethods ? [onMethod('notMethods', notMethods, false)] : []),
    ...(paths ? [onPath('paths', paths, true)] : []),
    ...(notPaths ? [onPath('notPaths', notPaths, false)] : []),
  ]
}

function onPrincipal(field: Predicate['field'], wanted: readonly string[], sign: boolean): Predicate {
  const matches = principalMatcher(wanted)
  return {
    field,
    wanted,
    got: ({ principal }) => principal,
    holds: ({ principal }) => matches(principal) === sign,
  }
}

/** A principal without a namespace is in none. */
function onNamespace(field: Predicate['field'], wanted: readonly string[], sign: boolean): Predicate {
  const matches = prefixMatcher(wanted)
  return {
    field,
    wanted,
    got: ({ namespace }) => namespace,
    holds: ({ namespace }) => (namespace !== undefined && matches(namespace)) === sign,
  }
}

function onPort(field: Predicate['field'], wanted: readonly number[], sign: boolean): Predicate {
  const ports = new Set(wanted)
  return { field, wanted, got: ({ port }) => port, holds: ({ port }) => ports.has(port) === sign }
}

function onMethod(field: Predicate['field'], wanted: readonly string[], sign: boolean): Predicate {
  const methods = new Set(wanted)
  return {
    field,
    wanted,
    got: ({ method }) => method,
    holds: ({ method }) => method !== undefined && methods.has(method) === sign,
  }
}

function onPath(field: Predicate['field'], wanted: readonly string[], sign: boolean): Predicate {
  const matches = prefixMatcher(wanted)
  return {
    field,
    wanted,
    got: ({ path }) => path,
    holds: ({ path }) => path !== undefined && matches(path) === sign,
  }
}
