/** Something that makes connections between a client and a server of its own, in this process. */
export interface Handshaker extends AsyncDisposable {
  /**
   * One connection from its first byte until both sides have verified each other and the client holds a ticket for the
   * next; then it is dropped.
   *
   * @param resumed whether to go on from the ticket of the connection before, or from nothing
   * @throws Error when the handshake was not of that kind
   */
  connect(resumed: boolean): Promise<void>
}

/** By the registry's names. */
export type BenchGroup = 'x25519' | 'X25519MLKEM768'
