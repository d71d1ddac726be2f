import type { Authorities } from '../../ca/authorities.ts'
import { CaError } from '../../ca/errors.ts'
import type { Lease } from '../../ca/lease.ts'
import type { AdminHandler } from './admin-socket.ts'

/** The same commands, which a controller that does not lead refuses, naming the one that does. */
export function forLeader(
  handlers: Readonly<Record<string, AdminHandler>>,
  { authorities, lease }: { readonly authorities: Authorities; readonly lease: Lease },
): Readonly<Record<string, AdminHandler>> {
  return Object.fromEntries(
    Object.entries(handlers).map(([verb, handler]): [string, AdminHandler] => [
      verb,
      async (request) => {
        if (authorities.leads) return handler(request)
        const leader = await lease.holder()
        throw new CaError(
          'CA_NOT_LEADER',
          `The controller ${leader?.holder ?? 'that is about to take over'} leads, and takes this command`,
        )
      },
    ]),
  )
}
