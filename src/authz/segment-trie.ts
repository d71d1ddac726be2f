/** How one segment of a pattern matches one segment of a text. */
export type SegmentPattern =
  | { readonly kind: 'literal'; readonly text: string }
  /** Any segment that is not empty. */
  | { readonly kind: 'any' }
  /** A segment that begins so. */
  | { readonly kind: 'prefix'; readonly text: string }

/** A pattern for texts of segments between slashes. */
export interface SegmentsPattern {
  readonly segments: readonly SegmentPattern[]
  /** What the text goes on with after the segments and a slash, whatever follows. @default nothing: it ends there */
  readonly rest?: string
}

interface Node<Value> {
  readonly literals: Map<string, Node<Value>>
  readonly prefixes: { readonly text: string; readonly node: Node<Value> }[]
  any: Node<Value> | undefined
  readonly rests: { readonly text: string; readonly values: Value[] }[]
  readonly values: Value[]
}

/** Finds those of many patterns that match a text, without asking each: literal segments by hash, patterns after them. */
export class SegmentTrie<Value> {
  readonly #root: Node<Value> = emptyNode()

  add({ segments, rest }: SegmentsPattern, value: Value): void {
    let node = this.#root
    for (const segment of segments) node = childFor(node, segment)
    if (rest === undefined) {
      node.values.push(value)
      return
    }
    const known = node.rests.find(({ text }) => text === rest)
    if (known === undefined) node.rests.push({ text: rest, values: [value] })
    else known.values.push(value)
  }

  /** Calls `found` with the value of every pattern that matches, in no order, and for some more than once. */
  match(text: string, found: (value: Value) => void): void {
    walk(this.#root, text, 0, found)
  }
}

function emptyNode<Value>(): Node<Value> {
  return { literals: new Map(), prefixes: [], any: undefined, rests: [], values: [] }
}

function childFor<Value>(node: Node<Value>, segment: SegmentPattern): Node<Value> {
  switch (segment.kind) {
    case 'literal': {
      const known = node.literals.get(segment.text) ?? emptyNode<Value>()
      node.literals.set(segment.text, known)
      return known
    }
    case 'any':
      return (node.any ??= emptyNode())
    case 'prefix': {
      const known = node.prefixes.find(({ text }) => text === segment.text)
      if (known !== undefined) return known.node
      const child = emptyNode<Value>()
      node.prefixes.push({ text: segment.text, node: child })
      return child
    }
  }
}

/** @param from where the segment begins that this node has a say about; past the end when there is none */
function walk<Value>(node: Node<Value>, text: string, from: number, found: (value: Value) => void): void {
  if (from > text.length) {
    for (const value of node.values) found(value)
    return
  }
  for (const rest of node.rests) {
    if (text.startsWith(rest.text, from)) for (const value of rest.values) found(value)
  }
  const slash = text.indexOf('/', from)
  const end = slash < 0 ? text.length : slash
  const literal = node.literals.get(text.slice(from, end))
  if (literal !== undefined) walk(literal, text, end + 1, found)
  if (node.any !== undefined && end > from) walk(node.any, text, end + 1, found)
  for (const prefix of node.prefixes)
    if (text.startsWith(prefix.text, from) && from + prefix.text.length <= end)
      walk(prefix.node, text, end + 1, found)
}
