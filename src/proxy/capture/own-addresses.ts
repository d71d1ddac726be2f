import { networkInterfaces } from 'node:os'
import { parseAddress } from '../../config/address.ts'

/** The addresses of this host, as far as its interfaces have them. */
export class OwnAddresses {
  readonly #read: () => Iterable<string>
  #known: ReadonlySet<string> = new Set()

  /** @param read asks the system. @default what Node says of its interfaces */
  constructor(read: () => Iterable<string> = interfaceAddresses) {
    this.#read = read
  }

  /** Interfaces may come up at any time: what is not known yet is asked for again. */
  has(host: string): boolean {
    if (this.#known.has(host)) return true
    this.#known = new Set(this.#read())
    return this.#known.has(host)
  }
}

function interfaceAddresses(): readonly string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .map(({ address, family }) => (family === 'IPv6' ? canonical(address) : address))
}

function canonical(address: string): string {
  return parseAddress(`[${address}]:0`)?.host ?? address
}
