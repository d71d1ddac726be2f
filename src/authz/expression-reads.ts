import type { ASTNode } from '@marcbachmann/cel-js'

/** Functions whose time grows at most with the length of what they are called on. */
const FUNCTIONS = new Set([
  'size',
  'startsWith',
  'endsWith',
  'contains',
  'lowerAscii',
  'has',
  'int',
  'string',
])

/** Functions that go through a list. */
const ITERATIONS = new Set(['all', 'exists', 'exists_one'])

/** What an expression looks at, found without running it. */
export class ExpressionReads {
  /** `source`, `destination`, `connection`, `request`. */
  readonly variables: ReadonlySet<string>
  /** In lower case. */
  readonly headers: ReadonlySet<string>
  /** Of `request`, such as `path` or `auth`. */
  readonly requestFields: ReadonlySet<string>
  /** At the top of the token. */
  readonly claims: ReadonlySet<string>
  /** Whether it goes through lists. */
  readonly iterates: boolean
  /** What it does that no expression may. */
  readonly refusal: { readonly expected: string; readonly got: string } | undefined

  constructor(root: ASTNode) {
    const found: Found = {
      variables: new Set(),
      headers: new Set(),
      requestFields: new Set(),
      claims: new Set(),
      iterates: false,
    }
    visit(root, found, new Set())
    this.variables = found.variables
    this.headers = found.headers
    this.requestFields = found.requestFields
    this.claims = found.claims
    this.iterates = found.iterates
    this.refusal = found.refusal
  }
}

interface Found {
  readonly variables: Set<string>
  readonly headers: Set<string>
  readonly requestFields: Set<string>
  readonly claims: Set<string>
  iterates: boolean
  refusal?: { readonly expected: string; readonly got: string }
}

/** @param bound the variable of an iteration around the node, of which there is at most one */
function visit(node: ASTNode, found: Found, bound: ReadonlySet<string>): void {
  const path = pathOf(node)
  if (path !== undefined) {
    if (!bound.has(path[0]!)) note(path, found)
    return
  }
  switch (node.op) {
    case 'value':
      return
    case 'id':
      if (!bound.has(node.args)) note([node.args], found)
      return
    case 'in':
      if (isHeaders(node.args[1])) noteHeader(literalOf(node.args[0]), found)
      else each(node.args, found, bound)
      return
    case '.':
    case '.?':
      visit(node.args[0], found, bound)
      return
    case '!_':
    case '-_':
      visit(node.args, found, bound)
      return
    case 'call':
      call(node.args[0], node.args[1], found, bound)
      return
    case 'rcall':
      receiverCall(node.args, found, bound)
      return
    case 'map':
      for (const entry of node.args) each(entry, found, bound)
      return
    case '[]':
    case '[?]':
    case 'list':
    case '?:':
    case '||':
    case '&&':
    case '==':
    case '!=':
    case '<':
    case '<=':
    case '>':
    case '>=':
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      each(node.args, found, bound)
  }
}

function each(nodes: readonly ASTNode[], found: Found, bound: ReadonlySet<string>): void {
  for (const node of nodes) visit(node, found, bound)
}

function call(name: string, args: readonly ASTNode[], found: Found, bound: ReadonlySet<string>): void {
  if (!FUNCTIONS.has(name)) refuse(found, allowedFunctions(), `${name}()`)
  each(args, found, bound)
}

function receiverCall(
  [name, receiver, args]: readonly [string, ASTNode, readonly ASTNode[]],
  found: Found,
  bound: ReadonlySet<string>,
): void {
  visit(receiver, found, bound)
  if (!ITERATIONS.has(name)) {
    call(name, args, found, bound)
    return
  }
  found.iterates = true
  if (bound.size > 0) refuse(found, 'one iteration at a time', `${name}() inside another`)
  const [variable, ...body] = args
  each(body, found, variable?.op === 'id' ? new Set([variable.args]) : bound)
}

/** Such as `['request', 'headers', 'x-tier']`: names from a variable on, as far as they are literal. */
function pathOf(node: ASTNode): string[] | undefined {
  if (node.op === 'id') return [node.args]
  if (node.op !== '.' && node.op !== '[]') return undefined
  const [holder, step] = node.args
  const name = typeof step === 'string' ? step : literalOf(step)
  const path = pathOf(holder)
  return path === undefined || name === undefined ? undefined : [...path, name]
}

function literalOf(node: ASTNode): string | undefined {
  return node.op === 'value' && typeof node.args === 'string' ? node.args : undefined
}

function isHeaders(node: ASTNode): boolean {
  return pathOf(node)?.join('.') === 'request.headers'
}

function note(path: readonly string[], found: Found): void {
  const [variable, field, name] = path
  found.variables.add(variable!)
  if (variable !== 'request') return
  if (field === undefined) return refuse(found, 'a field of request such as request.path', 'request')
  found.requestFields.add(field)
  if (field === 'headers') noteHeader(name, found)
  if (field !== 'auth') return
  if (name === undefined) return refuse(found, 'request.auth.principal or a claim', 'request.auth')
  if (name !== 'claims') return
  if (path[3] === undefined)
    return refuse(found, 'a claim by its name such as request.auth.claims.groups', 'all claims')
  found.claims.add(path[3])
}

function noteHeader(name: string | undefined, found: Found): void {
  if (name === undefined || name !== name.toLowerCase())
    return refuse(
      found,
      'a header by its name in lower case such as request.headers["x-tier"]',
      name ?? 'all headers',
    )
  found.variables.add('request')
  found.requestFields.add('headers')
  found.headers.add(name)
}

function allowedFunctions(): string {
  return `one of the functions ${[...FUNCTIONS, ...ITERATIONS].join(', ')}`
}

function refuse(found: Found, expected: string, got: string): void {
  found.refusal ??= { expected, got }
}
