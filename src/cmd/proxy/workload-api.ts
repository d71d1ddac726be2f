import { RateLimit } from '../../ca/rate-limit.ts'
import type { WorkloadApiConfig } from '../../config/workload-api-config.ts'
import { systemTimers } from '../../control/timers.ts'
import type { WorkloadIdentity } from '../../control/workload-api/identity-feed.ts'
import { WorkloadApiServer } from '../../control/workload-api/server.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import type { PeerCredentials } from '../../native/peer-credentials.ts'
import type { Logger } from '../../telemetry/log.ts'
import { listenForWorkloads } from './workload-socket.ts'

export interface WorkloadApiOptions {
  readonly config: WorkloadApiConfig
  /** The configuration file, for messages. */
  readonly file: string
  readonly identity: WorkloadIdentity
  readonly crypto: CryptoProvider
  readonly log: Logger
}

/** Refused callers that are logged, each user by itself: a program that asks in a loop must not fill the log. */
const LOGGED_REFUSALS = { atOnce: 5, perMinute: 5 }

/** Connections of processes that are not permitted, for so long and so many at once: they take no place from those that are. */
const STRANGER_MS = 5_000
const MAX_STRANGERS = 16

/**
 * Serves the SPIFFE Workload API on the configured socket.
 *
 * @throws ConfigError when the socket cannot be had, or not safely
 */
export async function startWorkloadApi(options: WorkloadApiOptions): Promise<AsyncDisposable> {
  const { config, file, identity, crypto, log } = options
  const ownUid = process.geteuid!()
  const logged = new RateLimit(LOGGED_REFUSALS)
  await using started = new AsyncDisposableStack()
  const server = new WorkloadApiServer({ identity, timers: systemTimers, crypto })
  const permits = callerRule(config, ownUid)
  let strangers = 0
  started.use(
    await listenForWorkloads({
      file,
      path: config.socket,
      shared: config.gids.length > 0 || config.uids.some((uid) => uid !== ownUid),
      accept(connection, from) {
        const permitted = from !== undefined && permits(from)
        if (permitted) {
          log.debug('A process uses the Workload API', { ...from })
        } else {
          if (logged.allow(String(from?.uid), Date.now()))
            log.warn('A process is not permitted to use the Workload API', { ...from })
          if (strangers >= MAX_STRANGERS) return void connection.destroy()
          strangers++
          const limit = setTimeout(() => connection.destroy(), STRANGER_MS)
          connection.once('close', () => {
            clearTimeout(limit)
            strangers--
          })
        }
        server.acceptConnection(connection, permitted)
      },
      onError: (error) => log.error('The socket of the Workload API failed', { error }),
    }),
  )
  started.defer(() => server.close())
  log.info('Workload API served', { socket: config.socket })
  const resources = started.move()
  return { [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

/** Who is served. That root is not, unless it is named: in a container it may be anybody. */
function callerRule(
  { uids, gids }: WorkloadApiConfig,
  ownUid: number,
): (caller: Pick<PeerCredentials, 'uid' | 'gid'>) => boolean {
  if (uids.length + gids.length === 0) return ({ uid }) => uid === ownUid
  return ({ uid, gid }) => uids.includes(uid) || gids.includes(gid)
}
