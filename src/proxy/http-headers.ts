import type { IncomingMessage } from 'node:http'

/** How the application learns who called, in the field's usual form. */
export const CLIENT_CERTIFICATE_HEADER = 'X-Forwarded-Client-Cert'

/** RFC 9110 §7.6.1: of one connection and not of the message. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** A sender may name more in Connection, but not what frames, routes or identifies the message. */
const NEVER_HOP_BY_HOP = new Set(['host', 'content-length', 'trailer', 'cache-control'])

/** The headers that travel on, without those in `drop` (lower case). */
export function endToEnd({ rawHeaders, headers }: IncomingMessage, drop: readonly string[] = []): string[] {
  const dropped = new Set([...HOP_BY_HOP, ...drop])
  for (const token of (headers.connection ?? '').split(',')) {
    const name = token.trim().toLowerCase()
    if (!NEVER_HOP_BY_HOP.has(name)) dropped.add(name)
  }
  const kept: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (!dropped.has(rawHeaders[i]!.toLowerCase())) kept.push(rawHeaders[i]!, rawHeaders[i + 1]!)
  }
  return kept
}

/** Whether a request announces a body (RFC 9112 §6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  if (headers['transfer-encoding'] !== undefined) return true
  return headers['content-length'] !== undefined && headers['content-length'] !== '0'
}

/** Restores the framing that {@link endToEnd} took away, so that nothing is left to be guessed. */
export function framing({ headers, method }: IncomingMessage): string[] {
  if (headers['transfer-encoding'] !== undefined) return ['Transfer-Encoding', 'chunked']
  const bodyExpected = method === 'POST' || method === 'PUT' || method === 'PATCH'
  return bodyExpected && headers['content-length'] === undefined ? ['Content-Length', '0'] : []
}

/** SPIFFE IDs need no quoting in it: they have no comma, semicolon, equals sign or quote. */
export function clientCertificateHeader(by: string, uri: string): string[] {
  return [CLIENT_CERTIFICATE_HEADER, `By=${by};URI=${uri}`]
}

/** Raw trailers in the pairs that node:http takes. */
export function trailerPairs({ rawTrailers }: IncomingMessage): [string, string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i + 1 < rawTrailers.length; i += 2) pairs.push([rawTrailers[i]!, rawTrailers[i + 1]!])
  return pairs
}
