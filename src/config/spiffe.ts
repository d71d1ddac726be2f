/** SPIFFE-ID §2.1: 1 to 255 of these characters. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/

/** SPIFFE-ID §2.2: a path segment, which is neither `.` nor `..`. */
const SEGMENT = /^(?!\.{1,2}$)[a-zA-Z0-9._-]+$/

/** A segment of a pattern: a segment whose end, or whole, may be `*`. */
const PATTERN_SEGMENT = /^(?!\.{1,2}$)[a-zA-Z0-9._-]*(?:\*|(?<=.))$/

/** SPIFFE-ID §2.3. */
const MAX_ID_BYTES = 2048

/** Whether the text is a trust domain's name. */
export function isTrustDomain(text: string): boolean {
  return TRUST_DOMAIN.test(text)
}

/** Whether the text is the SPIFFE ID of a workload: one with a path. */
export function isWorkloadId(text: string): boolean {
  return isId(text, SEGMENT)
}

/**
 * Whether the text is a principal pattern: `*` alone, or a SPIFFE ID in which a path segment may be `*` or end with
 * `*`. The trust domain is always literal.
 */
export function isPrincipalPattern(text: string): boolean {
  return text === '*' || isId(text, PATTERN_SEGMENT)
}

/** The trust domain of a SPIFFE ID or pattern. */
export function trustDomainOf(id: string): string {
  return id.split('/', 3)[2] ?? ''
}

function isId(text: string, segment: RegExp): boolean {
  if (text.length > MAX_ID_BYTES || !text.startsWith('spiffe://')) return false
  const [trustDomain, ...path] = text.slice('spiffe://'.length).split('/')
  return isTrustDomain(trustDomain!) && path.length > 0 && path.every((part) => segment.test(part))
}
