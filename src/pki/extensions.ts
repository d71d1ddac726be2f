/** The extensions of RFC 5280 §4.2 that path validation reads, each with its own decoder. */
import { encodeElement } from '../crypto/der.ts'
import { contextConstructed, contextPrimitive, Tag } from './der.ts'
import type { DerReader } from './der.ts'
import type { DistinguishedName } from './distinguished-name.ts'
import { readGeneralName } from './general-names.ts'
import type { GeneralName, GeneralNameKind } from './general-names.ts'

export interface BasicConstraints {
  readonly critical: boolean
  readonly ca: boolean
  /** Intermediates that may follow on a path, not counting self-issued ones. */
  readonly pathLength?: number
}

/** By bit number (RFC 5280 §4.2.1.3). */
const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
export type KeyUsageName = (typeof KEY_USAGES)[number]

export interface KeyUsage {
  readonly critical: boolean
  readonly usages: readonly KeyUsageName[]
}

export interface ExtendedKeyUsage {
  readonly critical: boolean
  /** Object identifiers. */
  readonly purposes: readonly string[]
}

export interface SubjectAltNames {
  readonly critical: boolean
  readonly uris: readonly string[]
  readonly dnsNames: readonly string[]
  /** Four bytes each, or sixteen. */
  readonly ipAddresses: readonly Uint8Array[]
  readonly emailAddresses: readonly string[]
  readonly directoryNames: readonly DistinguishedName[]
  /** The kinds of the names that are none of the above. */
  readonly otherKinds: readonly GeneralNameKind[]
}

export interface NameConstraints {
  readonly critical: boolean
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

export interface AuthorityKeyIdentifier {
  readonly critical: boolean
  readonly keyIdentifier?: Uint8Array
  /** Whether it also names the issuer's certificate by issuer and serial number. */
  readonly namesCertificate: boolean
}

/** What a certificate without the extension has. */
export const NO_ALT_NAMES: SubjectAltNames = {
  critical: false,
  uris: [],
  dnsNames: [],
  ipAddresses: [],
  emailAddresses: [],
  directoryNames: [],
  otherKinds: [],
}

/** More than any chain has. */
const MAX_PATH_LENGTH = 255

export function readBasicConstraints(reader: DerReader, critical: boolean): BasicConstraints {
  return reader.sequence('basicConstraints', (sequence) => {
    const ca = sequence.booleanDefaultFalse('cA')
    if (!sequence.more) return { critical, ca }
    if (!ca) sequence.fail('pathLenConstraint', 'is set for a certificate that is no CA')
    return { critical, ca, pathLength: sequence.smallInteger('pathLenConstraint', MAX_PATH_LENGTH) }
  })
}

export function readKeyUsage(reader: DerReader, critical: boolean): KeyUsage {
  const { unusedBits, bytes } = reader.bitString('keyUsage')
  // X.690 §11.2.2 drops trailing zeros, but widely trusted roots keep them; they cannot change the meaning.
  const bits = bytes.length * 8 - unusedBits
  const usages = KEY_USAGES.filter((_, bit) => bit < bits && (bytes[bit >> 3]! & (0x80 >> (bit & 7))) !== 0)
  // RFC 5280 §4.2.1.3
  if (usages.length === 0) reader.fail('keyUsage', 'sets no usage')
  return { critical, usages }
}

/** The contents of a keyUsage extension, in DER. */
export function encodeKeyUsage(usages: readonly KeyUsageName[]): Uint8Array<ArrayBuffer> {
  const bits = usages.map((usage) => KEY_USAGES.indexOf(usage))
  const last = Math.max(...bits)
  const bytes = new Uint8Array((last >> 3) + 1)
  for (const bit of bits) bytes[bit >> 3]! |= 0x80 >> (bit & 7)
  return encodeElement(Tag.bitString, Uint8Array.of(7 - (last & 7)), bytes)
}

export function readExtendedKeyUsage(reader: DerReader, critical: boolean): ExtendedKeyUsage {
  const purposes = reader.list(Tag.sequence, 'extKeyUsage', (list) => list.oid('keyPurposeId'))
  return { critical, purposes }
}

export function readSubjectAltNames(reader: DerReader, critical: boolean): SubjectAltNames {
  const names = reader.list(Tag.sequence, 'subjectAltName', readGeneralName)
  const uris: string[] = []
  const dnsNames: string[] = []
  const ipAddresses: Uint8Array[] = []
  const emailAddresses: string[] = []
  const directoryNames: DistinguishedName[] = []
  const otherKinds: GeneralNameKind[] = []
  for (const name of names) {
    switch (name.kind) {
      case 'uniformResourceIdentifier':
        uris.push(name.text)
        break
      case 'dNSName':
        dnsNames.push(name.text)
        break
      case 'rfc822Name':
        emailAddresses.push(name.text)
        break
      case 'iPAddress':
        if (name.bytes.length !== 4 && name.bytes.length !== 16)
          reader.fail('subjectAltName.iPAddress', `has ${name.bytes.length} bytes, expected 4 or 16`)
        ipAddresses.push(name.bytes)
        break
      case 'directoryName':
        directoryNames.push(name.name)
        break
      case 'otherName':
      case 'x400Address':
      case 'ediPartyName':
      case 'registeredID':
        otherKinds.push(name.kind)
        break
    }
  }
  return { critical, uris, dnsNames, ipAddresses, emailAddresses, directoryNames, otherKinds }
}

export function readNameConstraints(reader: DerReader, critical: boolean): NameConstraints {
  return reader.sequence('nameConstraints', (sequence) => {
    const permitted = readSubtrees(sequence, 0, 'permittedSubtrees')
    const excluded = readSubtrees(sequence, 1, 'excludedSubtrees')
    if (permitted.length + excluded.length === 0) reader.fail('nameConstraints', 'constrains nothing')
    return { critical, permitted, excluded }
  })
}

export function readSubjectKeyIdentifier(reader: DerReader): Uint8Array {
  return reader.octetString('subjectKeyIdentifier')
}

export function readAuthorityKeyIdentifier(reader: DerReader, critical: boolean): AuthorityKeyIdentifier {
  return reader.sequence('authorityKeyIdentifier', (sequence) => {
    const keyIdentifier = sequence.next(contextPrimitive(0))
      ? sequence.element(contextPrimitive(0), 'keyIdentifier')
      : undefined
    let namesCertificate = false
    if (sequence.next(contextConstructed(1))) {
      sequence.list(contextConstructed(1), 'authorityCertIssuer', readGeneralName)
      namesCertificate = true
    }
    if (sequence.next(contextPrimitive(2))) {
      sequence.integer('authorityCertSerialNumber', contextPrimitive(2))
      namesCertificate = true
    }
    return keyIdentifier === undefined
      ? { critical, namesCertificate }
      : { critical, namesCertificate, keyIdentifier }
  })
}

/** Nothing here follows these pointers; their form is checked all the same (RFC 5280 §4.2.2.1). */
export function checkAuthorityInfoAccess(reader: DerReader): void {
  reader.list(Tag.sequence, 'authorityInfoAccess', (list) =>
    list.sequence('accessDescription', (description) => {
      description.oid('accessMethod')
      readGeneralName(description)
    }),
  )
}

function readSubtrees(sequence: DerReader, number: number, field: string): readonly GeneralName[] {
  if (!sequence.next(contextConstructed(number))) return []
  return sequence.list(contextConstructed(number), field, (list) =>
    // RFC 5280 §4.2.1.10: minimum is 0, hence left out, and maximum is absent.
    list.sequence('generalSubtree', readGeneralName),
  )
}
