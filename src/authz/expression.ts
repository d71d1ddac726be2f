import { Environment } from '@marcbachmann/cel-js'
import { messageOf } from '../errors.ts'
import { ExpressionReads } from './expression-reads.ts'
import type { Subject } from './subject.ts'

/** A CEL expression ready to be asked. */
export interface Expression {
  readonly reads: ExpressionReads
  /** @throws when it cannot be evaluated, such as for a claim that is not there */
  holds(subject: Subject): boolean
}

/** An expression, or why there is none: a noun phrase that says what was expected, and what came. */
export type CompiledExpression =
  | { readonly kind: 'expression'; readonly expression: Expression }
  | { readonly kind: 'refused'; readonly expected: string; readonly got: string }

/** Tens of conditions; what every evaluation costs at most is a multiple of it. */
const MAX_NODES = 128

/** As deep as a person nests brackets. */
const MAX_DEPTH = 24

/** A claim with longer lists is not iterated: the expression fails, and so the condition does, closed. */
const MAX_LIST_LENGTH = 256

class Source {
  principal: string
  trustDomain: string
  namespace: string | undefined
  serviceAccount: string | undefined
  ip: string | undefined

  constructor({ principal, trustDomain, namespace, serviceAccount, sourceIp }: Subject) {
    this.principal = principal
    this.trustDomain = trustDomain
    this.namespace = namespace
    this.serviceAccount = serviceAccount?.split('/')[1]
    this.ip = sourceIp
  }
}

class Destination {
  port: bigint

  constructor({ port }: Subject) {
    this.port = BigInt(port)
  }
}

class TlsConnection {
  sni: string | undefined
  alpn: string | undefined
  group: string | undefined

  constructor({ tls }: Subject) {
    this.sni = tls?.sni
    this.alpn = tls?.alpn
    this.group = tls?.group
  }
}

class Auth {
  principal: string | undefined
  claims: Readonly<Record<string, unknown>> | undefined

  constructor({ http }: Subject) {
    this.principal = http?.token?.principal
    this.claims = http?.token?.claims
  }
}

class HttpRequest {
  method: string | undefined
  path: string | undefined
  host: string | undefined
  headers: ReadonlyMap<string, string>
  auth: Auth

  constructor(subject: Subject) {
    const { http } = subject
    this.method = http?.method
    this.path = http?.path
    this.host = http?.host
    // RFC 9110 §5.2: several lines are one list.
    this.headers = new Map(Array.from(http?.headers ?? [], ([name, lines]) => [name, lines.join(', ')]))
    this.auth = new Auth(subject)
  }
}

const ENVIRONMENT = new Environment({
  limits: { maxAstNodes: MAX_NODES, maxDepth: MAX_DEPTH, maxListElements: MAX_NODES, maxCallArguments: 4 },
})
  .registerType('Source', {
    ctor: Source,
    fields: {
      principal: 'string',
      trustDomain: 'string',
      namespace: 'string',
      serviceAccount: 'string',
      ip: 'string',
    },
  })
  .registerType('Destination', { ctor: Destination, fields: { port: 'int' } })
  .registerType('Connection', {
    ctor: TlsConnection,
    fields: { sni: 'string', alpn: 'string', group: 'string' },
  })
  .registerType('Auth', { ctor: Auth, fields: { principal: 'string', claims: 'map<string, dyn>' } })
  .registerType('Request', {
    ctor: HttpRequest,
    fields: {
      method: 'string',
      path: 'string',
      host: 'string',
      headers: 'map<string, string>',
      auth: 'Auth',
    },
  })
  .registerVariable('source', 'Source')
  .registerVariable('destination', 'Destination')
  .registerVariable('connection', 'Connection')
  .registerVariable('request', 'Request')

/**
 * Reads a CEL expression that gives true or false.
 *
 * What it may cost is bounded before it ever runs: by its size, by functions whose time grows with the length of one
 * value, by one iteration at a time over a list of bounded length, and by having no regular expressions.
 */
export function compileExpression(text: string): CompiledExpression {
  const known = COMPILED.get(text)
  if (known !== undefined) return known
  const compiled = compile(text)
  if (COMPILED.size >= MAX_COMPILED) COMPILED.clear()
  COMPILED.set(text, compiled)
  return compiled
}

/** The same text is read when policy is checked, when it is asked what it reads, and when it is put to use. */
const COMPILED = new Map<string, CompiledExpression>()

/** More expressions than a mesh has. */
const MAX_COMPILED = 1_024

function compile(text: string): CompiledExpression {
  try {
    const evaluate = ENVIRONMENT.parse(text)
    const reads = new ExpressionReads(evaluate.ast)
    if (reads.refusal !== undefined) return { kind: 'refused', ...reads.refusal }
    const { valid, type, error } = evaluate.check()
    if (!valid) return refused('an expression whose types fit', error)
    if (type !== 'bool')
      return { kind: 'refused', expected: 'an expression that is true or false', got: `one of type ${type}` }
    return {
      kind: 'expression',
      expression: {
        reads,
        holds(subject) {
          if (reads.iterates) boundLists(subject.http?.token?.claims, 0)
          const result: unknown = evaluate({
            ...(reads.variables.has('source') && { source: new Source(subject) }),
            ...(reads.variables.has('destination') && { destination: new Destination(subject) }),
            ...(reads.variables.has('connection') && { connection: new TlsConnection(subject) }),
            ...(reads.variables.has('request') && { request: new HttpRequest(subject) }),
          })
          if (typeof result !== 'boolean') throw new TypeError(`An expression gave ${typeof result}`)
          return result
        },
      },
    }
  } catch (thrown) {
    return refused('an expression in CEL', thrown)
  }
}

function refused(expected: string, error: unknown): CompiledExpression {
  return { kind: 'refused', expected, got: messageOf(error).split('\n', 1)[0]! }
}

/** @throws RangeError for claims that hold a list too long to be iterated */
function boundLists(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return
  const items = Array.isArray(value) ? (value as unknown[]) : Object.values(value)
  if (items.length > MAX_LIST_LENGTH || depth > MAX_DEPTH)
    throw new RangeError('A claim is too large to be iterated')
  for (const item of items) boundLists(item, depth + 1)
}
