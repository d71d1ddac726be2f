/** How messages show certificates, names and times. Names come from peers, so nothing in them reaches a terminal raw. */
import type { Certificate } from './certificate.ts'

/** Enough to recognise a list by. */
const SHOWN_ITEMS = 5

/**
 * What to call a certificate: an authority by its subject, a leaf by its first URI or DNS name; either by what it
 * has, in the end by its serial number.
 */
export function certificateLabel({
  subject,
  subjectAltNames: { uris, dnsNames },
  basicConstraints,
  serialNumber,
}: Certificate): string {
  const alternative = uris[0] ?? dnsNames[0] ?? ''
  const [first, second] =
    basicConstraints?.ca === true ? [subject.text, alternative] : [alternative, subject.text]
  const name = first === '' ? second : first
  return name === '' ? `serial number ${serialNumber}` : JSON.stringify(printable(name))
}

/** The first few of `items`, and how many more there are. */
export function listText(items: readonly string[]): string {
  const shown = items.slice(0, SHOWN_ITEMS).map(printable).join(', ')
  return items.length > SHOWN_ITEMS ? `${shown} and ${items.length - SHOWN_ITEMS} more` : shown
}

/** The text with control characters in hexadecimal. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, (character) => `\\x${character.codePointAt(0)!.toString(16)}`)
}

/** ISO 8601, in UTC, to the second. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
