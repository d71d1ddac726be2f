import { messageOf } from '../../errors.ts'
import { CaptureError } from '../errors.ts'

/** Whom the packet filter takes a socket's owner for. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * Does something while the whole process acts as another user and group: sockets that are opened meanwhile are theirs.
 *
 * @throws CaptureError CAPTURE_NOT_PERMITTED
 */
export async function actAs<Result>({ uid, gid }: Owner, act: () => Promise<Result>): Promise<Result> {
  const own = { uid: process.geteuid!(), gid: process.getegid!() }
  try {
    try {
      // The group first: whoever is not root any more may not change it.
      process.setegid!(gid)
      process.seteuid!(uid)
    } catch (cause) {
      throw new CaptureError(
        'CAPTURE_NOT_PERMITTED',
        `May not act as the proxy (user ${uid}, group ${gid}): expected to run as root with the capabilities SETUID and SETGID: ${messageOf(cause)}`,
        { cause },
      )
    }
    return await act()
  } finally {
    process.seteuid!(own.uid)
    process.setegid!(own.gid)
  }
}
