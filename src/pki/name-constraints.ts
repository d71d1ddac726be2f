/** Name constraints (RFC 5280 §4.2.1.10) on DNS names, URIs, IP addresses, mailboxes and directory names. */
import type { Certificate } from './certificate.ts'
import { refused } from './certificate-rules.ts'
import type { DistinguishedName } from './distinguished-name.ts'
import type { NameAttribute } from './distinguished-name.ts'
import { CertificateError } from './errors.ts'
import type { GeneralName, GeneralNameKind } from './general-names.ts'
import { listText } from './label.ts'
import { canonicalDnsName, ipAddressText, parseIpAddress } from './host-name.ts'

/** Comparisons of a name with a subtree that one validation may cost; a large path needs a few hundred. */
const MAX_COMPARISONS = 100_000

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'

/** Counts what one validation compares. */
export class ComparisonBudget {
  #left = MAX_COMPARISONS

  /** @throws CertificateError PKI_LIMIT */
  spend(comparisons: number): void {
    this.#left -= comparisons
    if (this.#left >= 0) return
    throw new CertificateError(
      'PKI_LIMIT',
      `Name constraints would take more than ${MAX_COMPARISONS} comparisons`,
    )
  }
}

/**
 * Checks the names of `subject` against the constraints of `issuer`, an authority above it on the path.
 *
 * Constraints on kinds of names that nothing here can compare refuse every certificate that has such a name.
 *
 * @throws CertificateError PKI_NAME_CONSTRAINT, PKI_LIMIT
 */
export function checkNameConstraints(
  issuer: Certificate,
  subject: Certificate,
  budget: ComparisonBudget,
): void {
  const { permitted, excluded } = issuer.nameConstraints ?? { permitted: [], excluded: [] }
  for (const constraint of [...permitted, ...excluded]) checkConstraint(issuer, constraint)
  const names = namesOf(subject)
  budget.spend(names.length * (permitted.length + excluded.length))
  for (const name of names) {
    const hit = excluded.find((constraint) => constraint.kind === name.kind && mayMatch(name, constraint))
    if (hit !== undefined)
      throw refused(
        'PKI_NAME_CONSTRAINT',
        subject,
        `has the name ${text(name)}, which its authority ${issuer.subject.text} excludes by ${text(hit)}`,
      )
    const ofKind = permitted.filter((constraint) => constraint.kind === name.kind)
    if (ofKind.length > 0 && !ofKind.some((constraint) => isWithin(name, constraint)))
      throw refused(
        'PKI_NAME_CONSTRAINT',
        subject,
        `has the name ${text(name)}, and its authority ${issuer.subject.text} permits only ${listText(ofKind.map(text))}`,
      )
  }
}

/** All names of a certificate that constraints apply to. */
function namesOf({ subject, subjectAltNames }: Certificate): readonly GeneralName[] {
  const names: GeneralName[] = []
  const { uris, dnsNames, ipAddresses, emailAddresses, directoryNames, otherKinds } = subjectAltNames
  for (const text of uris) names.push({ kind: 'uniformResourceIdentifier', text })
  for (const text of dnsNames) names.push({ kind: 'dNSName', text })
  for (const bytes of ipAddresses) names.push({ kind: 'iPAddress', bytes })
  for (const text of emailAddresses) names.push({ kind: 'rfc822Name', text })
  for (const name of directoryNames) names.push({ kind: 'directoryName', name })
  for (const kind of otherKinds) names.push({ kind } as GeneralName)
  if (!subject.isEmpty) names.push({ kind: 'directoryName', name: subject })
  // RFC 5280 §4.2.1.10: a mailbox in the subject counts where no alternative name is one.
  if (emailAddresses.length === 0)
    for (const { value } of emailAttributes(subject))
      names.push({ kind: 'rfc822Name', text: new TextDecoder().decode(value) })
  return names
}

function emailAttributes(name: DistinguishedName): readonly NameAttribute[] {
  return name.rdns.flat().filter(({ type }) => type === EMAIL_ADDRESS)
}

/** Whether the constraint itself makes sense. */
function checkConstraint(issuer: Certificate, constraint: GeneralName): void {
  if (isMeaningful(constraint)) return
  throw refused(
    'PKI_NAME_CONSTRAINT',
    issuer,
    `has the name constraint ${text(constraint)}, which is malformed`,
  )
}

function isMeaningful(constraint: GeneralName): boolean {
  switch (constraint.kind) {
    case 'dNSName':
      return constraint.text === '' || canonicalDnsName(constraint.text) !== undefined
    case 'uniformResourceIdentifier':
      return uriHost(constraint.text.replace(/^\./, '')) !== undefined
    case 'rfc822Name': {
      const mailbox = splitMailbox(constraint.text)
      const host = mailbox === undefined ? constraint.text.replace(/^\./, '') : mailbox.host
      return canonicalDnsName(host) !== undefined && (mailbox !== undefined || !constraint.text.includes('@'))
    }
    case 'iPAddress':
      return (
        (constraint.bytes.length === 8 || constraint.bytes.length === 32) && isPrefixMask(constraint.bytes)
      )
    case 'directoryName':
    case 'otherName':
    case 'x400Address':
    case 'ediPartyName':
    case 'registeredID':
      return true
  }
}

/** Whether any name that `name` stands for lies in the subtree; what cannot be told counts as yes. */
function mayMatch(name: GeneralName, constraint: GeneralName): boolean {
  if (name.kind === 'dNSName' && constraint.kind === 'dNSName' && name.text.startsWith('*.')) {
    const parent = canonicalDnsName(name.text.slice(2))
    const base = canonicalDnsName(constraint.text) ?? ''
    // `*.example.com` may stand for the label that the constraint starts with.
    return parent === undefined || isBelow(parent, base) || base.slice(base.indexOf('.') + 1) === parent
  }
  return !isComparable(name) || isWithin(name, constraint)
}

/** Whether every name that `name` stands for lies in the subtree; what cannot be told counts as no. */
function isWithin(name: GeneralName, constraint: GeneralName): boolean {
  switch (name.kind) {
    case 'dNSName': {
      const dnsName = canonicalDnsName(name.text.replace(/^\*\./, ''))
      return dnsName !== undefined && isBelow(dnsName, textOf(constraint).toLowerCase())
    }
    case 'uniformResourceIdentifier': {
      const host = hostOfUri(name.text)
      return host !== undefined && hostMatches(host, textOf(constraint))
    }
    case 'rfc822Name':
      return mailboxMatches(name.text, textOf(constraint))
    case 'iPAddress':
      return constraint.kind === 'iPAddress' && addressMatches(name.bytes, constraint.bytes)
    case 'directoryName':
      return constraint.kind === 'directoryName' && name.name.isWithin(constraint.name)
    case 'otherName':
    case 'x400Address':
    case 'ediPartyName':
    case 'registeredID':
      return false
  }
}

/** Whether a name has the syntax of its kind, so that "not within" means something. */
function isComparable(name: GeneralName): boolean {
  switch (name.kind) {
    case 'dNSName':
      return canonicalDnsName(name.text) !== undefined
    case 'uniformResourceIdentifier':
      return hostOfUri(name.text) !== undefined
    case 'rfc822Name':
      return splitMailbox(name.text) !== undefined
    case 'iPAddress':
    case 'directoryName':
      return true
    case 'otherName':
    case 'x400Address':
    case 'ediPartyName':
    case 'registeredID':
      return false
  }
}

/** A DNS constraint covers the name itself and everything below; the empty one covers all. */
function isBelow(name: string, base: string): boolean {
  return base === '' || name === base || name.endsWith(`.${base}`)
}

/** A host constraint with a leading dot covers what is below it, one without only itself. */
function hostMatches(host: string, constraint: string): boolean {
  const base = constraint.toLowerCase()
  return base.startsWith('.') ? host.endsWith(base) : host === base
}

function mailboxMatches(address: string, constraint: string): boolean {
  const mailbox = splitMailbox(address)
  if (mailbox === undefined) return false
  const wanted = splitMailbox(constraint)
  if (wanted === undefined) return hostMatches(mailbox.host, constraint)
  return mailbox.local === wanted.local && mailbox.host === wanted.host
}

/** The local part is compared as it is, the host without regard to case (RFC 5280 §7.5). */
function splitMailbox(text: string): { readonly local: string; readonly host: string } | undefined {
  const parts = text.split('@')
  if (parts.length !== 2 || !/^[\x21-\x7e]+$/.test(parts[0]!)) return undefined
  const host = canonicalDnsName(parts[1]!)
  return host === undefined ? undefined : { local: parts[0]!, host }
}

function addressMatches(address: Uint8Array, constraint: Uint8Array): boolean {
  if (constraint.length !== address.length * 2) return false
  return address.every((byte, i) => ((byte ^ constraint[i]!) & constraint[address.length + i]!) === 0)
}

function isPrefixMask(constraint: Uint8Array): boolean {
  const mask = constraint.subarray(constraint.length / 2)
  const bits = Array.from(mask, (byte) => byte.toString(2).padStart(8, '0')).join('')
  return !bits.includes('01')
}

/** The host of a URI with an authority; addresses and hosts of another syntax are none (RFC 5280 §4.2.1.10). */
function hostOfUri(uri: string): string | undefined {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1]
  if (authority === undefined) return undefined
  return uriHost(authority.slice(authority.lastIndexOf('@') + 1).replace(/:\d*$/, ''))
}

/** Hosts of URIs may have underscores: SPIFFE trust domains do. */
function uriHost(text: string): string | undefined {
  const host = text.toLowerCase()
  const wellFormed = host.length <= 255 && /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(host)
  return wellFormed && parseIpAddress(host) === undefined ? host : undefined
}

function textOf(constraint: GeneralName): string {
  return 'text' in constraint ? constraint.text : ''
}

const KIND_NAMES: Readonly<Record<GeneralNameKind, string>> = {
  rfc822Name: 'email',
  dNSName: 'DNS',
  uniformResourceIdentifier: 'URI',
  iPAddress: 'IP',
  directoryName: 'directory name',
  otherName: 'other name',
  x400Address: 'X.400 address',
  ediPartyName: 'EDI party name',
  registeredID: 'registered ID',
}

function text(name: GeneralName): string {
  const kind = KIND_NAMES[name.kind]
  switch (name.kind) {
    case 'iPAddress': {
      const { bytes } = name
      if (bytes.length === 4 || bytes.length === 16) return `${kind} ${ipAddressText(bytes)}`
      if (bytes.length !== 8 && bytes.length !== 32) return `${kind} ${bytes.toHex()}`
      const half = bytes.length / 2
      return `${kind} ${ipAddressText(bytes.subarray(0, half))}/${ipAddressText(bytes.subarray(half))}`
    }
    case 'directoryName':
      return `${kind} ${name.name.text}`
    case 'rfc822Name':
    case 'dNSName':
    case 'uniformResourceIdentifier':
      return `${kind} ${JSON.stringify(name.text)}`
    case 'otherName':
    case 'x400Address':
    case 'ediPartyName':
    case 'registeredID':
      return kind
  }
}
