import type { Address } from '../../config/address.ts'
import type { PassThrough } from './pass-through.ts'

/** Who is behind an address. */
export type Destination =
  /** A workload of the mesh: spoken to by mutual TLS, as exactly `peer`, or not at all. */
  | { readonly kind: 'meshed'; readonly peer: string; readonly connect: Address }
  /** Somebody outside the mesh: bytes are carried untouched. */
  | { readonly kind: 'pass-through'; readonly warrant: PassThrough }
  /** Nobody whom the application may speak to. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Knows who is behind the addresses that an application connects to. */
export interface PeerDirectory {
  /**
   * @param to an IP address and a port
   * @param signal nobody waits for the answer any more
   */
  lookup(to: Address, signal: AbortSignal): Destination | Promise<Destination>
}
