import { IdentityError } from './errors.ts'

/** The SPIFFE ID standard §2.3 */
const MAX_ID_BYTES = 2048

/** The SPIFFE ID standard §2.3, from RFC 3986. */
const MAX_TRUST_DOMAIN_BYTES = 255

const SCHEME = 'spiffe://'

/** A workload's identity, `spiffe://<trust domain>/<path>`, or a trust domain's when the path is empty. Immutable. */
export class SpiffeId {
  readonly trustDomain: string
  /** Empty, or a slash before each segment. */
  readonly path: string

  private constructor(trustDomain: string, path: string) {
    this.trustDomain = trustDomain
    this.path = path
  }

  /**
   * Reads a SPIFFE ID, which has one form only: nothing is normalised.
   *
   * @throws IdentityError IDENTITY_MALFORMED
   */
  static parse(text: string): SpiffeId {
    // Every legal character is one byte; others fail below.
    if (text.length > MAX_ID_BYTES)
      throw malformed(text, `has ${text.length} characters, and at most ${MAX_ID_BYTES} are allowed`)
    if (!text.startsWith(SCHEME)) throw malformed(text, `does not start with ${SCHEME}`)
    const rest = text.slice(SCHEME.length)
    const slash = rest.indexOf('/')
    const trustDomain = slash < 0 ? rest : rest.slice(0, slash)
    const path = slash < 0 ? '' : rest.slice(slash)
    checkTrustDomain(trustDomain, text)
    checkPath(path, text)
    return new SpiffeId(trustDomain, path)
  }

  /** The ID of a trust domain itself. @throws IdentityError IDENTITY_MALFORMED */
  static ofTrustDomain(name: string): SpiffeId {
    return SpiffeId.of(name)
  }

  /**
   * The ID with this path in this trust domain.
   *
   * @param segments of the path, without slashes
   * @throws IdentityError IDENTITY_MALFORMED
   */
  static of(trustDomain: string, ...segments: readonly string[]): SpiffeId {
    const path = segments.map((segment) => `/${segment}`).join('')
    const id = SpiffeId.parse(`${SCHEME}${trustDomain}${path}`)
    // A slash within a part would have moved the borders.
    if (id.trustDomain === trustDomain && id.path.split('/').length === segments.length + 1) return id
    throw malformed(id.toString(), 'has a part with a slash in it')
  }

  /** The ID that Kubernetes workloads have by convention. @throws IdentityError IDENTITY_MALFORMED */
  static forServiceAccount(trustDomain: string, namespace: string, serviceAccount: string): SpiffeId {
    return SpiffeId.of(trustDomain, 'ns', namespace, 'sa', serviceAccount)
  }

  /** Whether it names a trust domain rather than a workload. */
  get isTrustDomain(): boolean {
    return this.path === ''
  }

  /** The Kubernetes namespace, of IDs in the form `/ns/<namespace>/sa/<service account>`. */
  get namespace(): string | undefined {
    return this.#kubernetesParts?.[1]
  }

  /** The Kubernetes service account, of IDs in the form `/ns/<namespace>/sa/<service account>`. */
  get serviceAccount(): string | undefined {
    return this.#kubernetesParts?.[2]
  }

  equals(other: SpiffeId): boolean {
    return this.trustDomain === other.trustDomain && this.path === other.path
  }

  toString(): string {
    return `${SCHEME}${this.trustDomain}${this.path}`
  }

  toJSON(): string {
    return this.toString()
  }

  get #kubernetesParts(): RegExpExecArray | null {
    return /^\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(this.path)
  }
}

function checkTrustDomain(trustDomain: string, id: string): void {
  if (trustDomain === '') throw malformed(id, 'has no trust domain')
  if (trustDomain.length > MAX_TRUST_DOMAIN_BYTES)
    throw malformed(id, `has a trust domain longer than ${MAX_TRUST_DOMAIN_BYTES} characters`)
  const wrong = /[^a-z0-9._-]/u.exec(trustDomain)?.[0]
  if (wrong !== undefined)
    throw malformed(
      id,
      `has ${JSON.stringify(wrong)} in its trust domain; a-z, 0-9, dot, dash and underscore are allowed`,
    )
}

function checkPath(path: string, id: string): void {
  if (path === '') return
  if (path.endsWith('/')) throw malformed(id, 'ends in a slash')
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') throw malformed(id, 'has an empty path segment')
    if (segment === '.' || segment === '..') throw malformed(id, `has the path segment ${segment}`)
    const wrong = /[^a-zA-Z0-9._-]/u.exec(segment)?.[0]
    if (wrong !== undefined)
      throw malformed(
        id,
        `has ${JSON.stringify(wrong)} in its path; a-z, A-Z, 0-9, dot, dash and underscore are allowed`,
      )
  }
}

/** What is shown of an ID that is refused; it may be long. */
const SHOWN_CHARACTERS = 200

function malformed(id: string, problem: string): IdentityError {
  const shown = id.length > SHOWN_CHARACTERS ? `${id.slice(0, SHOWN_CHARACTERS)}…` : id
  return new IdentityError('IDENTITY_MALFORMED', `The SPIFFE ID ${JSON.stringify(shown)} ${problem}`)
}
