import { type Cidr, cidrOf, leadingBits } from './cidr.ts'

/** Networks of one family and size, by what their addresses begin with. */
interface Level<Value> {
  readonly family: Cidr['family']
  readonly prefix: number
  readonly values: Map<bigint, Value[]>
}

/** Values by network, found by address: a search costs as much as there are sizes of networks, not as there are networks. */
export class CidrMap<Value> {
  /** The narrowest first. */
  readonly #levels: readonly Level<Value>[]

  constructor(entries: readonly (readonly [Cidr, Value])[]) {
    const levels = new Map<string, Level<Value>>()
    for (const [cidr, value] of entries) {
      const { family, prefix, host } = cidr
      const level = levels.getOrInsertComputed(`${family}/${prefix}`, () => ({
        family,
        prefix,
        values: new Map(),
      }))
      level.values.getOrInsertComputed(leadingBits(host, prefix), () => []).push(value)
    }
    this.#levels = [...levels.values()].toSorted((one, other) => other.prefix - one.prefix)
  }

  /** The values of all networks that have the address, the narrowest first, and of equal ones in the order they were given. */
  *at(host: string): Generator<Value, undefined> {
    const { family } = cidrOf(host)
    for (const level of this.#levels)
      if (level.family === family) yield* level.values.get(leadingBits(host, level.prefix)) ?? []
  }
}
