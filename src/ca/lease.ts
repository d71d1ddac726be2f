/** Who leads, and for the how many-th time somebody does. */
export interface LeaseRecord {
  /** Grows by one with every holder. */
  readonly term: number
  /** The name of a replica. */
  readonly holder: string
}

/** The lease in the hands of its holder. Disposing gives it back. */
export interface HeldLease extends Disposable {
  /** The fence: what is written under an older term is refused once a newer one has written. */
  readonly term: number
  /** Says that its holder lives. @returns whether it is still held */
  renew(): Promise<boolean>
}

/** What exactly one replica has at a time. */
export interface Lease {
  /** Takes it unless another has it. @throws CaError CA_STORE_IO, CA_STORE_CORRUPT */
  tryAcquire(holder: string): Promise<HeldLease | undefined>
  /** Who has it, or had it last; undefined before the first. @throws CaError CA_STORE_IO, CA_STORE_CORRUPT */
  holder(): Promise<LeaseRecord | undefined>
}
