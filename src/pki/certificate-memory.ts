import type { CryptoProvider } from '../crypto/provider.ts'
import { parseCertificate, type Certificate } from './certificate.ts'
import { validatePath, type PathOptions, type ValidatedPath } from './path.ts'

/** Each with its key some 10 KB. A proxy talks to dozens of peers, a busy one to hundreds. */
const DEFAULT_CAPACITY = 512

/** SVIDs have some 600 bytes. Longer ones are read anew each time, so that strangers cannot fill our memory with them. */
const MAX_REMEMBERED_BYTES = 4096

/** A path that held, and all that it was judged by but the clock. */
interface HeldPath extends ValidatedPath {
  /** The latest notBefore on the path, in milliseconds since the Unix epoch. */
  readonly beginsAtMs: number
  readonly anchors: readonly Certificate[]
  readonly crypto: CryptoProvider
}

/**
 * What was learnt from certificates that were seen before: their contents, and the paths that were found valid. Peers
 * come again and again, and what is signed does not change.
 *
 * A path is taken for valid without a second check of its signatures only if the bytes of the whole chain, the use that
 * is asked about, the limits, the trust anchors and the provider are what they were, and if every certificate on it is
 * still valid by the clock. So nothing outlives a change of the bundle or the end of a certificate. Refusals are not
 * remembered. Who the peer may be is not asked here: names, policy and revocation are judged anew by those who ask.
 */
export class CertificateMemory {
  readonly #certificates: RecentlyUsed<Certificate>
  readonly #paths: RecentlyUsed<HeldPath>

  /** @param capacity how many certificates are remembered, and how many paths; the least recently used make room */
  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#certificates = new RecentlyUsed(capacity)
    this.#paths = new RecentlyUsed(capacity)
  }

  /**
   * What `parseCertificate` makes of these very bytes, be it now or earlier.
   *
   * @throws CertificateError as `parseCertificate`
   */
  read(der: Uint8Array): Certificate {
    // What is kept must not hold on to the message that it came in, which may be wiped.
    if (der.length > MAX_REMEMBERED_BYTES) return parseCertificate(der.slice())
    const name = bytesAsText(der)
    const known = this.#certificates.use(name)
    if (known !== undefined) return known
    const certificate = parseCertificate(der.slice())
    this.#certificates.put(name, certificate)
    return certificate
  }

  /**
   * What `validatePath` makes of the chain.
   *
   * @throws CertificateError as `validatePath`
   */
  validate(chain: readonly Certificate[], options: PathOptions): ValidatedPath {
    const name = nameOf(chain, options)
    const held = this.#paths.use(name)
    if (held !== undefined && isStillHeld(held, options))
      return { path: held.path, expiresAtMs: held.expiresAtMs }
    this.#paths.remove(name)
    const valid = validatePath(chain, options)
    const { anchors, crypto } = options
    const beginsAtMs = Math.max(...valid.path.map(({ notBeforeMs }) => notBeforeMs))
    this.#paths.put(name, { ...valid, beginsAtMs, anchors: [...anchors], crypto })
    return valid
  }
}

/** In the last second of a certificate, which belongs to its validity, the whole check has the word. */
function isStillHeld({ beginsAtMs, expiresAtMs, anchors, crypto }: HeldPath, options: PathOptions): boolean {
  return (
    options.nowMs >= beginsAtMs &&
    options.nowMs <= expiresAtMs &&
    options.crypto === crypto &&
    options.anchors.length === anchors.length &&
    // The same objects, as bundles are immutable; equal ones of a newer bundle lead to one more check, no more.
    options.anchors.every((anchor, index) => anchor === anchors[index])
  )
}

/** A digest of the chain as it was shown, and of the question that was asked about it. */
function nameOf(chain: readonly Certificate[], { crypto, usage, maxIntermediates }: PathOptions): string {
  using hash = crypto.hash('sha256')
  for (const { der } of chain) hash.update(der)
  // A certificate is DER and says where it ends, so that no two chains are the same bytes.
  return `${usage ?? ''} ${maxIntermediates ?? ''} ${bytesAsText(hash.digest())}`
}

/** Each byte as one character: a key of a Map, which compares all of it. */
function bytesAsText({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('latin1')
}

/** A map that forgets what was used least recently. */
class RecentlyUsed<Value> {
  readonly #capacity: number
  readonly #values = new Map<string, Value>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  use(name: string): Value | undefined {
    const value = this.#values.get(name)
    if (value === undefined) return undefined
    // A Map remembers the order of insertion.
    this.#values.delete(name)
    this.#values.set(name, value)
    return value
  }

  put(name: string, value: Value): void {
    this.#values.set(name, value)
    if (this.#values.size > this.#capacity) this.#values.delete(this.#values.keys().next().value!)
  }

  remove(name: string): void {
    this.#values.delete(name)
  }
}
