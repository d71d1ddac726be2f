import * as z from 'zod'
import { checked, mapping, wholeNumber } from './fields.ts'

/** Who is served the SPIFFE Workload API, and where. */
export interface WorkloadApiConfig {
  /** The path of a Unix socket. */
  readonly socket: string
  /** Users and groups whose processes are served; where both are empty, the proxy's own user. */
  readonly uids: readonly number[]
  readonly gids: readonly number[]
}

/** The address of a Unix socket has room for 107 bytes and a zero (unix(7)). */
const MAX_SOCKET_PATH_BYTES = 107

/** The numbers of users and groups; all ones stand for none. */
const id = wholeNumber({ min: 0, max: 2 ** 32 - 2 })

const socketPath = checked(
  `the absolute path of a Unix socket, of at most ${MAX_SOCKET_PATH_BYTES} bytes`,
  (text) =>
    text.startsWith('/') &&
    !text.includes('\0') &&
    new TextEncoder().encode(text).length <= MAX_SOCKET_PATH_BYTES,
)

/** The `workloadApi` section of a proxy.yaml. */
export const workloadApiSection: z.ZodType<WorkloadApiConfig> = mapping({
  socket: socketPath,
  uids: z.array(id, { error: 'a list of user ids' }).prefault([]),
  gids: z.array(id, { error: 'a list of group ids' }).prefault([]),
})
