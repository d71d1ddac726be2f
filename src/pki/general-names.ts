import { contextConstructed, contextPrimitive } from './der.ts'
import type { DerReader } from './der.ts'
import { DistinguishedName } from './distinguished-name.ts'

/** RFC 5280 §4.2.1.6. Kinds that nothing here can compare keep only their kind. */
export type GeneralName =
  | { readonly kind: 'rfc822Name' | 'dNSName' | 'uniformResourceIdentifier'; readonly text: string }
  | { readonly kind: 'iPAddress'; readonly bytes: Uint8Array }
  | { readonly kind: 'directoryName'; readonly name: DistinguishedName }
  | { readonly kind: 'otherName' | 'x400Address' | 'ediPartyName' | 'registeredID' }

export type GeneralNameKind = GeneralName['kind']

/** @throws CertificateError PKI_MALFORMED */
export function readGeneralName(reader: DerReader): GeneralName {
  if (reader.next(contextPrimitive(6)))
    return { kind: 'uniformResourceIdentifier', text: ia5(reader, 6, 'uniformResourceIdentifier') }
  if (reader.next(contextPrimitive(2))) return { kind: 'dNSName', text: ia5(reader, 2, 'dNSName') }
  if (reader.next(contextPrimitive(7)))
    return { kind: 'iPAddress', bytes: reader.element(contextPrimitive(7), 'iPAddress') }
  if (reader.next(contextPrimitive(1))) return { kind: 'rfc822Name', text: ia5(reader, 1, 'rfc822Name') }
  if (reader.next(contextConstructed(4))) {
    const name = reader.constructed(contextConstructed(4), 'directoryName', (inner) =>
      DistinguishedName.read(inner, 'rdnSequence'),
    )
    return { kind: 'directoryName', name }
  }
  return { kind: readOtherKind(reader) }
}

function readOtherKind(reader: DerReader): 'otherName' | 'x400Address' | 'ediPartyName' | 'registeredID' {
  const start = reader.offset
  if (reader.next(contextPrimitive(8))) {
    reader.oid('registeredID', contextPrimitive(8))
    return 'registeredID'
  }
  switch (reader.any('generalName').tag) {
    case contextConstructed(0):
      return 'otherName'
    case contextConstructed(3):
      return 'x400Address'
    case contextConstructed(5):
      return 'ediPartyName'
    default:
      return reader.fail('generalName', 'is of no known kind', start)
  }
}

function ia5(reader: DerReader, number: number, field: string): string {
  return reader.ia5String(field, contextPrimitive(number))
}
