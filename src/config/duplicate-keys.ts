import { type Document, isCollection, isMap, isPair, isScalar, type ParsedNode, type YAMLMap } from 'yaml'

/** A key that its mapping has before. */
export interface DuplicateKey {
  readonly code: 'DUPLICATE_KEY'
  /** Where it begins and ends in the text. */
  readonly pos: readonly [number, number]
}

/**
 * Every key that is not the first of its name in its mapping. The parser's own search compares each key with all others,
 * which takes minutes for as many as a file can have.
 */
export function* duplicateKeys({ contents }: Document): Generator<DuplicateKey> {
  // What is nested deeper than calls can be is for others to refuse.
  const open: unknown[] = [contents]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isMap(node)) yield* duplicatesOf(node)
    if (isPair(node)) open.push(node.key, node.value)
    else if (isCollection(node)) for (const item of node.items) open.push(item)
  }
}

function* duplicatesOf({ items }: YAMLMap): Generator<DuplicateKey> {
  const seen = new Set<unknown>()
  for (const { key } of items) {
    if (!isScalar(key)) continue
    const [start, end] = (key as ParsedNode).range
    if (seen.has(key.value)) yield { code: 'DUPLICATE_KEY', pos: [start, end] }
    seen.add(key.value)
  }
}
