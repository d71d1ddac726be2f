import type { SocketFunctions } from './socket-functions.ts'

/** Who is at the other end of a Unix socket: the process that connected, as the kernel saw it then. */
export interface PeerCredentials {
  readonly pid: number
  /** Effective user and group of that moment; further groups are not told. */
  readonly uid: number
  readonly gid: number
}

/** asm-generic/socket.h, which x64 and arm64 have. */
const SOL_SOCKET = 1
const SO_PEERCRED = 17

/** struct ucred of unix(7): three numbers of 32 bits. */
const UCRED_BYTES = 12

/**
 * Asks the kernel who has connected to a Unix socket.
 *
 * @param fd of the accepted connection
 * @returns undefined when the kernel does not say
 */
export function peerCredentials(
  { getsockopt }: Pick<SocketFunctions, 'getsockopt'>,
  fd: number,
): PeerCredentials | undefined {
  const credentials = new Uint8Array(UCRED_BYTES)
  const length = Int32Array.of(UCRED_BYTES)
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) < 0 || length[0] !== UCRED_BYTES)
    return undefined
  const view = new DataView(credentials.buffer)
  const pid = view.getInt32(0, true)
  // A socket that nobody has connected to has no process, and all ones for a user.
  return pid > 0 ? { pid, uid: view.getUint32(4, true), gid: view.getUint32(8, true) } : undefined
}
