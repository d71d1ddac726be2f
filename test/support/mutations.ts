/** What a wire can do to a stream, from a seed: so that whatever is found can be found again. */
import { concat } from '../../src/bytes/bytes.ts'
import { splitRecords } from './tls-records.ts'

/** Numbers below `bound`, the same for the same seed (Mulberry32). */
export type Random = (bound: number) => number

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
}

type Mutation = (flight: Uint8Array<ArrayBuffer>, random: Random) => Uint8Array<ArrayBuffer>

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'bytes changed': (flight, random) => {
    for (let edits = 1 + random(4); edits > 0; edits--) flight[random(flight.length)]! ^= 1 + random(255)
    return flight
  },
  'a length changed': (flight, random) => {
    const at = random(flight.length - 1)
    const length = ((flight[at]! << 8) | flight[at + 1]!) + random(9) - 4
    flight[at] = length >>> 8
    flight[at + 1] = length
    return flight
  },
  'cut short': (flight, random) => flight.slice(0, random(flight.length)),
  'a piece left out': (flight, random) => {
    const at = random(flight.length)
    return concat(flight.subarray(0, at), flight.subarray(at + 1 + random(64)))
  },
  'a piece said twice': (flight, random) => {
    const at = random(flight.length)
    const piece = flight.subarray(at, at + 1 + random(64))
    return concat(flight.subarray(0, at), piece, flight.subarray(at))
  },
  'a piece overwritten by another': (flight, random) => {
    const length = 1 + random(Math.min(64, flight.length))
    const [from, to] = [random(flight.length - length + 1), random(flight.length - length + 1)]
    flight.set(flight.slice(from, from + length), to)
    return flight
  },
  'noise inserted': (flight, random) => {
    const at = random(flight.length)
    const noise = Uint8Array.from({ length: 1 + random(32) }, () => random(256))
    return concat(flight.subarray(0, at), noise, flight.subarray(at))
  },
  'a record said twice': onRecords((records, random) => {
    const at = random(records.length)
    records.splice(at, 0, records[at]!)
  }),
  'a record left out': onRecords((records, random) => records.splice(random(records.length), 1)),
  'records swapped': onRecords((records, random) => {
    const [a, b] = [random(records.length), random(records.length)]
    ;[records[a], records[b]] = [records[b]!, records[a]!]
  }),
  'a record split in two': onRecords((records, random) => {
    const at = random(records.length)
    const record = records[at]!
    const length = record.length - 5
    if (length < 2) return
    const cut = 1 + random(length - 1)
    const header = (bytes: number): Uint8Array => Uint8Array.of(record[0]!, 3, 3, bytes >>> 8, bytes)
    records.splice(
      at,
      1,
      concat(header(cut), record.subarray(5, 5 + cut)),
      concat(header(length - cut), record.subarray(5 + cut)),
    )
  }),
}

export const MUTATION_NAMES: readonly string[] = Object.keys(MUTATIONS)

/** Applies the mutation of that name; `flight` is not empty and left unchanged. */
export function mutate(name: string, flight: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  return MUTATIONS[name]!(new Uint8Array(flight), random)
}

function onRecords(change: (records: Uint8Array<ArrayBuffer>[], random: Random) => unknown): Mutation {
  return (flight, random) => {
    const records = splitRecords(flight)
    change(records, random)
    return concat(...records)
  }
}
