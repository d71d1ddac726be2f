import { utf8 } from '../bytes/bytes.ts'
import { DER_SEQUENCE, encodeElement } from '../crypto/der.ts'
import { contextConstructed, contextPrimitive } from './der.ts'

/** Subtrees in the forms of RFC 5280 §4.2.1.10. */
export interface NameConstraintsTemplate {
  /** Hosts; with a leading dot, what is below them. @default no constraint */
  readonly permittedUris?: readonly string[]
  /** @default none */
  readonly excludedUris?: readonly string[]
  /** @default no constraint */
  readonly permittedDnsNames?: readonly string[]
  /** @default none */
  readonly excludedDnsNames?: readonly string[]
}

/** The contents of a nameConstraints extension, in DER. */
export function encodeNameConstraints({
  permittedUris = [],
  excludedUris = [],
  permittedDnsNames = [],
  excludedDnsNames = [],
}: NameConstraintsTemplate): Uint8Array {
  return encodeElement(
    DER_SEQUENCE,
    encodeSubtrees(0, permittedUris, permittedDnsNames),
    encodeSubtrees(1, excludedUris, excludedDnsNames),
  )
}

function encodeSubtrees(number: number, uris: readonly string[], dnsNames: readonly string[]): Uint8Array {
  const subtrees = [
    ...uris.map((host) => encodeElement(contextPrimitive(6), utf8(host))),
    ...dnsNames.map((name) => encodeElement(contextPrimitive(2), utf8(name))),
  ].map((name) => encodeElement(DER_SEQUENCE, name))
  return subtrees.length === 0 ? new Uint8Array() : encodeElement(contextConstructed(number), ...subtrees)
}
