import { ipAddressText, parseIpAddress } from '../pki/host-name.ts'

/** Why a host cannot be judged: some server would read it as another host than we would. */
export type HostRefusal =
  | 'missing'
  | 'too-long'
  | 'invalid-character'
  | 'not-ascii'
  | 'empty-label'
  | 'invalid-port'

/** The one spelling of a host, or why there is none. */
export type NormalizedHost =
  | { readonly kind: 'host'; readonly host: string }
  | { readonly kind: 'refused'; readonly reason: HostRefusal }

/** A DNS name of 253 characters, its final dot and a port. */
const MAX_HOST_CHARS = 260

/** Names as DNS and container platforms know them: letters, digits, hyphens, underscores. */
const LABEL = /^[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9_])?$/

/**
 * Reduces a Host header or authority to the one spelling of its host, which policy is written in: lower case, without
 * port and without the final dot, IPv6 addresses in brackets (RFC 5952). Internationalised names are compared as the ASCII
 * that travels (RFC 5891 A-labels); what is not ASCII is refused, as are user names, percent-encoding and empty labels.
 */
export function normalizeHost(text: string | undefined): NormalizedHost {
  if (text === undefined || text === '') return refused('missing')
  if (text.length > MAX_HOST_CHARS) return refused('too-long')
  if (/[^\x20-\x7e]/.test(text)) return refused('not-ascii')
  const [, bracketed, name, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]*))(?::(.*))?$/.exec(text) ?? []
  if (bracketed === undefined && name === undefined) return refused('invalid-character')
  if (port !== undefined && !(/^[1-9]\d{0,4}$/.test(port) && Number(port) <= 65_535))
    return refused('invalid-port')
  if (bracketed !== undefined) {
    const address = bracketed.includes(':') ? parseIpAddress(bracketed) : undefined
    return address === undefined ? refused('invalid-character') : accepted(`[${ipAddressText(address)}]`)
  }
  const host = name!.toLowerCase().replace(/\.$/, '')
  const labels = host.split('.')
  if (labels.includes('')) return refused(host === '' ? 'missing' : 'empty-label')
  return labels.every((label) => LABEL.test(label)) ? accepted(host) : refused('invalid-character')
}

function accepted(host: string): NormalizedHost {
  return { kind: 'host', host }
}

function refused(reason: HostRefusal): NormalizedHost {
  return { kind: 'refused', reason }
}
