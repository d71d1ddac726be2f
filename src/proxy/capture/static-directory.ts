import { formatAddress, type Address } from '../../config/address.ts'
import type { CaptureConfig, DestinationRange, MeshedDestination } from '../../config/capture-config.ts'
import { CidrMap } from '../../config/cidr-map.ts'
import { PassThrough } from './pass-through.ts'
import type { Destination, PeerDirectory } from './peer-directory.ts'

/**
 * What the configuration knows. Of several entries in the mesh the narrowest network decides, and among equal ones the one that names
 * the port. An entry in the mesh is stronger than any outside it.
 */
export class StaticDirectory implements PeerDirectory {
  readonly #peers: CidrMap<MeshedDestination>
  readonly #external: CidrMap<DestinationRange>
  readonly #refusesUnknown: boolean

  constructor({
    peers,
    external,
    outboundPolicy,
  }: Pick<CaptureConfig, 'peers' | 'external' | 'outboundPolicy'>) {
    const namesPort = ({ ports }: DestinationRange): number => (ports === undefined ? 1 : 0)
    this.#peers = byNetwork(peers.toSorted((one, other) => namesPort(one) - namesPort(other)))
    this.#external = byNetwork(external)
    this.#refusesUnknown = outboundPolicy === 'REGISTRY_ONLY'
  }

  lookup(to: Address): Destination {
    const meshed = find(this.#peers, to)
    if (meshed !== undefined) return { kind: 'meshed', peer: meshed.peer, connect: meshed.connect ?? to }
    if (this.#refusesUnknown && find(this.#external, to) === undefined)
      return { kind: 'refused', reason: `The configuration has no entry for ${formatAddress(to)}` }
    return { kind: 'pass-through', warrant: new PassThrough() }
  }
}

function byNetwork<Entry extends DestinationRange>(entries: readonly Entry[]): CidrMap<Entry> {
  return new CidrMap(entries.map((entry) => [entry.to, entry]))
}

function find<Entry extends DestinationRange>(
  entries: CidrMap<Entry>,
  { host, port }: Address,
): Entry | undefined {
  return entries.at(host).find(({ ports }) => ports === undefined || ports.includes(port))
}
