import type { Address } from '../config/address.ts'
import { HandfastError } from '../errors.ts'

/** Every way in which the network can refuse. */
export const NET_ERROR_CODES = {
  NET_ADDRESS_IN_USE: 'Another program listens on this address already',
  NET_ADDRESS_UNAVAILABLE: 'The address to listen on, or to connect from, does not belong to this machine',
  NET_NOT_PERMITTED: 'The operating system does not allow this process to use the address',
  NET_NAME_NOT_RESOLVED: 'A host name could not be resolved to an address',
  NET_CONNECTION_REFUSED: 'Nothing listens on the address, or a firewall says so',
  NET_UNREACHABLE: 'There is no route to the address',
  NET_TIMEOUT: 'The other side did not answer in time',
  NET_RESET: 'The other side cut the connection',
  NET_DESCRIPTORS_EXHAUSTED: 'The process or the machine has no file descriptor left for another connection',
  NET_CONNECTION_LIMIT: 'As many connections are open as the listener may have',
  NET_CANCELLED: 'The operation was called off before it completed',
  NET_TRANSPORT_MISSING: 'The transport that the configuration insists on cannot be had on this machine',
  NET_OPENSSL: 'OpenSSL, which the operator chose, reports a failure that has no code of its own here',
  NET_FAILED: 'The operating system reported a failure that has no code of its own here',
} as const

export type NetErrorCode = keyof typeof NET_ERROR_CODES

/** What the network, not the peer's protocol, has done to a connection or a listener. */
export class NetError extends HandfastError<NetErrorCode> {
  /** What could not be listened on or connected to. */
  readonly address: Address | undefined

  constructor(
    code: NetErrorCode,
    message: string,
    options: ErrorOptions & { readonly address?: Address } = {},
  ) {
    super(code, message, options)
    this.address = options.address
  }
}

const BY_SYSTEM_CODE: Readonly<Record<string, NetErrorCode>> = {
  EADDRINUSE: 'NET_ADDRESS_IN_USE',
  EADDRNOTAVAIL: 'NET_ADDRESS_UNAVAILABLE',
  EACCES: 'NET_NOT_PERMITTED',
  EPERM: 'NET_NOT_PERMITTED',
  ENOTFOUND: 'NET_NAME_NOT_RESOLVED',
  EAI_AGAIN: 'NET_NAME_NOT_RESOLVED',
  ECONNREFUSED: 'NET_CONNECTION_REFUSED',
  EHOSTUNREACH: 'NET_UNREACHABLE',
  ENETUNREACH: 'NET_UNREACHABLE',
  ETIMEDOUT: 'NET_TIMEOUT',
  ECONNRESET: 'NET_RESET',
  ECONNABORTED: 'NET_RESET',
  EPIPE: 'NET_RESET',
  EMFILE: 'NET_DESCRIPTORS_EXHAUSTED',
  ENFILE: 'NET_DESCRIPTORS_EXHAUSTED',
}

/**
 * What the operating system reported, as one of our codes.
 *
 * @param doing what was attempted, such as `Listen on 127.0.0.1:80`
 */
export function netError(doing: string, thrown: unknown, address?: Address): NetError {
  const system = (thrown as { readonly code?: unknown }).code
  const code = (typeof system === 'string' ? BY_SYSTEM_CODE[system] : undefined) ?? 'NET_FAILED'
  const meaning = code === 'NET_FAILED' ? String(thrown) : `${NET_ERROR_CODES[code]} (${String(system)})`
  return new NetError(code, `${doing}: ${meaning}`, {
    cause: thrown,
    ...(address !== undefined && { address }),
  })
}
