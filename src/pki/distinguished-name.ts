import { equalBytes, utf8 } from '../bytes/bytes.ts'
import { DerReader, Tag } from './der.ts'

/** One attribute of a name, e.g. CN=web. */
export interface NameAttribute {
  readonly type: string
  readonly tag: number
  readonly value: Uint8Array
}

/** RFC 4514 §3, and what else is common in certificates. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
}

/** An X.501 Name: a sequence of sets of attributes, most significant first. */
export class DistinguishedName {
  readonly der: Uint8Array
  readonly rdns: readonly (readonly NameAttribute[])[]
  #text: string | undefined
  #keys: readonly string[] | undefined

  constructor(der: Uint8Array, rdns: readonly (readonly NameAttribute[])[]) {
    this.der = der
    this.rdns = rdns
  }

  /** @throws CertificateError PKI_MALFORMED */
  static parse(der: Uint8Array): DistinguishedName {
    return DerReader.readAll(der, 'name', (reader) => DistinguishedName.read(reader, 'rdnSequence'))
  }

  /** @throws CertificateError PKI_MALFORMED */
  static read(reader: DerReader, field: string): DistinguishedName {
    const start = reader.offset
    const rdns = reader.sequence(field, (sequence) => {
      const all: NameAttribute[][] = []
      while (sequence.more) all.push(sequence.list(Tag.set, 'relativeDistinguishedName', readAttribute))
      return all
    })
    return new DistinguishedName(reader.since(start), rdns)
  }

  get isEmpty(): boolean {
    return this.rdns.length === 0
  }

  /** In the manner of RFC 4514: most specific first, `CN=web,O=Shop`. Empty for the empty name. */
  get text(): string {
    this.#text ??= this.rdns
      .map((rdn) => rdn.map(attributeText).join('+'))
      .reverse()
      .join(',')
    return this.#text
  }

  /** Whether both are the same bytes, as an issuer must repeat its subject (RFC 5280 §4.1.2.6). */
  equals(other: DistinguishedName): boolean {
    return equalBytes(this.der, other.der)
  }

  /** Whether this lies in the subtree below `base`, compared as RFC 5280 §7.1 has it. */
  isWithin(base: DistinguishedName): boolean {
    return base.#comparable.every((key, i) => this.#comparable[i] === key)
  }

  toString(): string {
    return this.text
  }

  get #comparable(): readonly string[] {
    this.#keys ??= this.rdns.map((rdn) => rdn.map(attributeKey).sort().join('+'))
    return this.#keys
  }
}

function readAttribute(set: DerReader): NameAttribute {
  return set.sequence('attributeTypeAndValue', (attribute) => {
    const type = attribute.oid('type')
    const { tag, contents } = attribute.any('value')
    return { type, tag, value: contents }
  })
}

function attributeText(attribute: NameAttribute): string {
  const name = SHORT_NAMES[attribute.type] ?? attribute.type
  const value = stringValue(attribute)
  return `${name}=${value === undefined ? `#${attribute.value.toHex()}` : escape(value)}`
}

/** Equal for values that differ only in case, spacing or kind of string. */
function attributeKey(attribute: NameAttribute): string {
  const value = stringValue(attribute)
  const comparable =
    value === undefined
      ? `#${attribute.tag}#${attribute.value.toHex()}`
      : JSON.stringify(value.normalize('NFKC').toLowerCase().trim().replaceAll(/\s+/g, ' '))
  return `${attribute.type}=${comparable}`
}

/** Undefined for values that are not text of a kind still in use. */
function stringValue({ tag, value }: NameAttribute): string | undefined {
  if (tag !== Tag.utf8String && tag !== Tag.printableString && tag !== Tag.ia5String) return undefined
  return new TextDecoder().decode(value)
}

/** RFC 4514 §2.4; control characters too, since the text goes to terminals and logs. */
function escape(value: string): string {
  return value
    .replaceAll(/[",+;<>\\]/g, (character) => `\\${character}`)
    .replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, hexEscape)
    .replace(/^[ #]/, (first) => `\\${first}`)
    .replace(/(?<!\\) $/, '\\ ')
}

function hexEscape(character: string): string {
  return Array.from(utf8(character), (byte) => `\\${byte.toString(16).padStart(2, '0')}`).join('')
}
