/** Where to listen or to connect. */
export interface Address {
  /** An IPv4 address, an IPv6 address without brackets, or a DNS name in lower case. */
  readonly host: string
  /** 0 to 65535; 0 asks for any free port and makes sense for listening only. */
  readonly port: number
}

const HOST_PORT = /^(?:\[(?<v6>[0-9a-fA-F:.]+)\]|(?<host>[^:[\]]+)):(?<port>0|[1-9]\d{0,4})$/

const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)*$/

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/

/**
 * Reads `host:port`, with an IPv6 address in brackets.
 *
 * @returns undefined when the text is no such address
 */
export function parseAddress(text: string): Address | undefined {
  const { v6, host, port } = HOST_PORT.exec(text)?.groups ?? {}
  const number = Number(port)
  if (port === undefined || number > 65_535) return undefined
  if (v6 !== undefined) {
    const canonical = canonicalIpv6(v6)
    return canonical === undefined ? undefined : { host: canonical, port: number }
  }
  const name = host!.toLowerCase()
  // A name of digits and dots only would be read by resolvers as some IPv4 address or other.
  if (!IPV4.test(name) && !isDnsName(name)) return undefined
  return { host: name, port: number }
}

/** Whether the text is a DNS name, in lower case, and no IP address. */
export function isDnsName(text: string): boolean {
  return DNS_NAME.test(text) && !/^[\d.]+$/.test(text)
}

/** Writes an address the way {@link parseAddress} reads it. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Whether the host is an IP address and not a name. */
export function isIpAddress({ host }: Address): boolean {
  return host.includes(':') || IPV4.test(host)
}

/** Whether traffic to the host stays on this machine: 127.0.0.0/8, ::1 or the name localhost. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || (IPV4.test(host) && host.startsWith('127.'))
}

/** The one spelling of an IPv6 address (RFC 5952), so that equal addresses compare equal. */
function canonicalIpv6(text: string): string | undefined {
  return URL.parse(`http://[${text}]/`)?.hostname.slice(1, -1)
}
