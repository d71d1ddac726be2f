import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Pair,
  type ParsedNode,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'

/** Such as `['spec', 'outbound', 0, 'listen']`. */
export type FieldPath = readonly (string | number)[]

/** Deeper than any schema reaches; what is nested deeper is not worth naming. */
const MAX_FIELD_DEPTH = 16

/** Such as `spec.outbound[0].listen`; a key that no schema would have is quoted, and cut when it is long. */
export function formatField(path: FieldPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    if (!/^[\w-]{1,64}$/.test(step)) return `${text}[${JSON.stringify(step.slice(0, 64))}]`
    return text === '' ? step : `${text}.${step}`
  }, '')
}

/**
 * Where a field's key or value begins, or, when the document lacks it, the innermost field around it that is there.
 *
 * @returns an index into the text
 */
export function offsetOf(document: Document, path: FieldPath, part: 'key' | 'value'): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    if (isSeq(node) && typeof step === 'number') {
      node = node.items[step]
      offset = startOf(node) ?? offset
    } else if (isMap(node)) {
      const pair = indexOf(node).byKey.get(step)
      if (pair === undefined) return offset
      const last = index === path.length - 1
      const key = startOf(pair.key) ?? offset
      node = pair.value
      // An inner mapping starts at its first key; what it lacks is better shown at the key that introduces it.
      offset = last && part === 'value' && !isEmpty(node) ? (startOf(node) ?? key) : key
    } else {
      return offset
    }
  }
  return offset
}

/** The innermost field whose key or value the text at the offset belongs to. */
export function fieldAt(document: Document, offset: number): FieldPath {
  const path: (string | number)[] = []
  let node: unknown = document.contents
  while (path.length < MAX_FIELD_DEPTH) {
    if (isMap(node)) {
      const pair = lastBefore(offset, indexOf(node).byStart)
      if (pair === undefined || !isScalar(pair.key)) return path
      path.push(String(pair.key.value))
      node = pair.value
    } else if (isSeq(node)) {
      const index = lastBefore(offset, itemsByStart(node))
      if (index === undefined) return path
      path.push(index)
      node = node.items[index]
    } else {
      return path
    }
  }
  return path
}

interface Placed<Value> {
  readonly start: number
  readonly value: Value
}

interface MapIndex {
  /** The first pair of each scalar key. */
  readonly byKey: ReadonlyMap<unknown, Pair>
  readonly byStart: readonly Placed<Pair>[]
}

/** A file with thousands of mistakes asks as often where they stand: each mapping and list is searched once for all. */
const mapIndexes = new WeakMap<YAMLMap, MapIndex>()
const listIndexes = new WeakMap<YAMLSeq, readonly Placed<number>[]>()

function indexOf(map: YAMLMap): MapIndex {
  const known = mapIndexes.get(map)
  if (known !== undefined) return known
  const byKey = new Map<unknown, Pair>()
  for (const pair of map.items)
    if (isScalar(pair.key) && !byKey.has(pair.key.value)) byKey.set(pair.key.value, pair)
  const index = { byKey, byStart: placed(map.items.map((pair) => [startOf(pair.key), pair])) }
  mapIndexes.set(map, index)
  return index
}

function itemsByStart(list: YAMLSeq): readonly Placed<number>[] {
  const known = listIndexes.get(list)
  if (known !== undefined) return known
  const index = placed(list.items.map((item, position) => [startOf(item), position]))
  listIndexes.set(list, index)
  return index
}

/** Those that stand somewhere; a parser keeps their order. */
function placed<Value>(values: readonly (readonly [number | undefined, Value])[]): Placed<Value>[] {
  return values.flatMap(([start, value]) => (start === undefined ? [] : [{ start, value }]))
}

/** The last that begins at the offset or before it. */
function lastBefore<Value>(offset: number, values: readonly Placed<Value>[]): Value | undefined {
  let [low, high] = [0, values.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (values[middle]!.start <= offset) low = middle + 1
    else high = middle
  }
  return values[low - 1]?.value
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? ((node as ParsedNode).range?.[0] ?? undefined) : undefined
}

/** A key with nothing after it: its value would be found at the start of the next line. */
function isEmpty(node: unknown): boolean {
  return isScalar(node) && node.value === null && node.source === ''
}
