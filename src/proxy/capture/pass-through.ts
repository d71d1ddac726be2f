/**
 * Leave to carry bytes of the application to a destination that is known not to be in the mesh. What the pump requires where there is
 * no peer to prove. A {@link PeerDirectory} alone makes it, so no destination of the mesh is ever spoken to in plaintext.
 */
export class PassThrough {
  readonly #brand = true
  readonly kind = 'pass-through'

  /** Whether the value is genuine; one that merely looks like it is not. */
  static is(value: unknown): value is PassThrough {
    return typeof value === 'object' && value !== null && #brand in value && value.#brand
  }
}
