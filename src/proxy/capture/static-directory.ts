import { formatAddress, type Address } from '../../config/address.ts'
import { cidrOf, covers, type Cidr } from '../../config/cidr.ts'
import type { CaptureConfig, DestinationRange, MeshedDestination } from '../../config/capture-config.ts'
import { PassThrough } from './pass-through.ts'
import type { Destination, PeerDirectory } from './peer-directory.ts'

/**
 * What the configuration knows. Of several entries in the mesh the narrowest network decides, and among equal ones the one that names
 * the port. An entry in the mesh is stronger than any outside it.
 */
export class StaticDirectory implements PeerDirectory {
  readonly #peers: readonly MeshedDestination[]
  readonly #external: readonly DestinationRange[]
  readonly #refusesUnknown: boolean

  constructor({
    peers,
    external,
    outboundPolicy,
  }: Pick<CaptureConfig, 'peers' | 'external' | 'outboundPolicy'>) {
    this.#peers = peers.toSorted(narrowestFirst)
    this.#external = external
    this.#refusesUnknown = outboundPolicy === 'REGISTRY_ONLY'
  }

  lookup(to: Address): Destination {
    const host = cidrOf(to.host)
    const meshed = this.#peers.find((entry) => includes(entry, host, to.port))
    if (meshed !== undefined) return { kind: 'meshed', peer: meshed.peer, connect: meshed.connect ?? to }
    if (this.#refusesUnknown && !this.#external.some((entry) => includes(entry, host, to.port)))
      return { kind: 'refused', reason: `The configuration has no entry for ${formatAddress(to)}` }
    return { kind: 'pass-through', warrant: new PassThrough() }
  }
}

function includes({ to, ports }: DestinationRange, host: Cidr, port: number): boolean {
  return covers(to, host) && (ports === undefined || ports.includes(port))
}

function narrowestFirst(one: DestinationRange, other: DestinationRange): number {
  return (
    other.to.prefix - one.to.prefix || Number(one.ports === undefined) - Number(other.ports === undefined)
  )
}
