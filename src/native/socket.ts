import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import type { Address } from '../config/address.ts'
import {
  decodeSocketAddress,
  encodeSocketAddress,
  type Family,
  MAX_SOCKET_ADDRESS_BYTES,
} from './socket-address.ts'
import type { SocketFunctions } from './socket-functions.ts'

/** What is not a failure: come back later. Results of system calls are negative errno for failures. */
export const EAGAIN: number = -constants.errno.EAGAIN
export const EINPROGRESS: number = -constants.errno.EINPROGRESS
export const EINTR: number = -constants.errno.EINTR
export const ECONNRESET: number = -constants.errno.ECONNRESET

const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
/** A write to a connection that is gone is an error, not a signal. */
const MSG_NOSIGNAL = 0x4000
const SHUT_WR = 1

/** A socket option: its level and its name (asm-generic/socket.h, netinet/tcp.h, netinet/in.h). */
export type SocketOption = readonly [level: number, name: number]
export const REUSE_ADDRESS: SocketOption = [1, 2]
export const REUSE_PORT: SocketOption = [1, 15]
export const KEEP_ALIVE: SocketOption = [1, 9]
export const NO_DELAY: SocketOption = [6, 1]
/** Leaves the port of an address that a socket is bound to open until it connects, so that it need be free towards one peer only. */
export const BIND_ADDRESS_NO_PORT: SocketOption = [0, 24]
/** Seconds of silence before the first probe. */
export const KEEP_ALIVE_IDLE: SocketOption = [6, 4]
/** Whether a socket on `::` leaves IPv4 alone. */
export const V6_ONLY: SocketOption = [41, 26]
const SO_ERROR: SocketOption = [1, 4]
const SO_LINGER: SocketOption = [1, 13]
const SO_ORIGINAL_DST: SocketOption = [0, 80]
const IP6T_SO_ORIGINAL_DST: SocketOption = [41, 80]

/** Lengths cross the native seam as a C int. */
const MAX_BYTES = 0x7fff_ffff

/** What the kernel fills in. One thread runs one call at a time, so all sockets of it share them. */
const addressBytes = new Uint8Array(MAX_SOCKET_ADDRESS_BYTES)
const length = new Int32Array(1)
const number = new Uint8Array(4)
/** struct linger: on, after zero seconds. */
const lingerNot = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)

/** The system calls, and the errno of the one that failed last on this thread. */
export interface SocketSystem extends SocketFunctions {
  readonly errno: () => number
}

/**
 * One non-blocking TCP socket: the owner of a file descriptor, which is closed exactly once and never used afterwards, since
 * the kernel gives the same number to somebody else. Lengths are those of the arrays given: nothing is read or written beyond.
 */
export class Socket implements Disposable {
  readonly #system: SocketSystem
  #fd: number

  /** Takes `fd` over. */
  private constructor(system: SocketSystem, fd: number) {
    this.#system = system
    this.#fd = fd
  }

  /** A new socket, or a negative errno. */
  static open(system: SocketSystem, family: Family): Socket | number {
    const fd = system.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    return fd < 0 ? -system.errno() : new Socket(system, fd)
  }

  /** @throws ReferenceError after {@link close} */
  get fd(): number {
    if (this.#fd < 0) throw new ReferenceError('The socket was used after it was closed')
    return this.#fd
  }

  get isClosed(): boolean {
    return this.#fd < 0
  }

  /** @returns 0, or a negative errno */
  bind(address: Address): number {
    const bytes = encodeSocketAddress(address)
    return this.#result(this.#system.bind(this.fd, bytes, bytes.length))
  }

  /** @returns 0, or a negative errno */
  listen(backlog: number): number {
    return this.#result(this.#system.listen(this.fd, backlog))
  }

  /** @returns 0, or a negative errno, which is {@link EINPROGRESS} while there is no answer yet */
  connect(address: Address): number {
    const bytes = encodeSocketAddress(address)
    return this.#result(this.#system.connect(this.fd, bytes, bytes.length))
  }

  /** A connection that has arrived, or a negative errno. {@link acceptedFrom} has its address until the next call. */
  accept(): Socket | number {
    length[0] = addressBytes.length
    const fd = this.#system.accept4(this.fd, addressBytes, length, SOCK_NONBLOCK | SOCK_CLOEXEC)
    return fd < 0 ? -this.#system.errno() : new Socket(this.#system, fd)
  }

  /**
   * Reads into `bytes`, which must not be empty.
   *
   * @returns how many bytes came, 0 at the end of the stream, or a negative errno
   */
  receive(bytes: Uint8Array): number {
    checkLength(bytes.length)
    return this.#result(this.#system.recv(this.fd, bytes, bytes.length, 0))
  }

  /** @returns how many of `bytes` were taken, or a negative errno */
  send(bytes: Uint8Array): number {
    checkLength(bytes.length)
    return this.#result(this.#system.send(this.fd, bytes, bytes.length, MSG_NOSIGNAL))
  }

  /** Ends our half of the stream. @returns 0, or a negative errno */
  endWriting(): number {
    return this.#result(this.#system.shutdown(this.fd, SHUT_WR))
  }

  /** Sets an option that is a number or a switch. @returns 0, or a negative errno */
  set([level, name]: SocketOption, value: number): number {
    writeInt32(number, value)
    return this.#result(this.#system.setsockopt(this.fd, level, name, number, number.length))
  }

  /** The errno that the kernel holds for this socket, negative, and forgets now; 0 for none. */
  takeError(): number {
    const [level, name] = SO_ERROR
    length[0] = number.length
    const result = this.#result(this.#system.getsockopt(this.fd, level, name, number, length))
    return result < 0 ? result : 0 - readInt32(number)
  }

  /** Undefined once the kernel has forgotten it. */
  localAddress(): Address | undefined {
    length[0] = addressBytes.length
    return this.#system.getsockname(this.fd, addressBytes, length) < 0 ? undefined : decoded()
  }

  /** {@link originalDestination} of this socket. */
  originalDestination(isIpv6: boolean): Address | undefined {
    return originalDestination(this.#system, this.fd, isIpv6)
  }

  /** Closes in order: what was sent is delivered. Idempotent. */
  close(): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    // Whatever it returns, the descriptor is gone (close(2)): trying again would hit somebody else's.
    this.#system.close(fd)
  }

  /** Closes at once; the other side sees a reset, and what it has not got is lost. Idempotent. */
  reset(): void {
    if (this.#fd < 0) return
    const fd = this.#fd
    this.#fd = -1
    resetDescriptor(this.#system, fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #result(returned: number): number {
    return returned < 0 ? -this.#system.errno() : returned
  }
}

/**
 * Where the other side of a connection meant to go before the packet filter redirected it here; undefined where nothing did.
 *
 * @param fd whoever owns it
 * @param isIpv6 whether the connection really is IPv6, and not IPv4 on a dual-stack socket
 */
export function originalDestination(system: SocketSystem, fd: number, isIpv6: boolean): Address | undefined {
  const [level, name] = isIpv6 ? IP6T_SO_ORIGINAL_DST : SO_ORIGINAL_DST
  length[0] = addressBytes.length
  return system.getsockopt(fd, level, name, addressBytes, length) < 0 ? undefined : decoded()
}

/** Closes a descriptor that has no owner any more; a connection is reset. */
export function resetDescriptor(system: SocketSystem, fd: number): void {
  const [level, name] = SO_LINGER
  // It fails for what is no socket, which does not matter.
  system.setsockopt(fd, level, name, lingerNot, lingerNot.length)
  system.close(fd)
}

/** The other end of what {@link Socket.accept} has just returned. */
export function acceptedFrom(): Address | undefined {
  return decoded()
}

/** Names a negative errno the way Node's own errors do. */
export function systemError(call: string, errno: number): Error & { readonly code: string } {
  const code = getSystemErrorName(errno)
  return Object.assign(new Error(`${call} ${code}`), { code, errno, syscall: call })
}

function decoded(): Address | undefined {
  return decodeSocketAddress(addressBytes, length[0]!)
}

function checkLength(bytes: number): void {
  if (bytes > 0 && bytes <= MAX_BYTES) return
  throw new RangeError(`The array has ${bytes} bytes, expected 1 to ${MAX_BYTES}`)
}

function writeInt32(bytes: Uint8Array, value: number): void {
  bytes[0] = value
  bytes[1] = value >>> 8
  bytes[2] = value >>> 16
  bytes[3] = value >>> 24
}

function readInt32(bytes: Uint8Array): number {
  return bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)
}
