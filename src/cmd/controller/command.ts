import { once } from 'node:events'
import { ConfigError } from '../../config/errors.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { nodeTransport } from '../../net/node-transport.ts'
import { createLogger } from '../../telemetry/log.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags } from '../flags.ts'
import { startController } from './controller.ts'
import { readControllerConfig } from './settings.ts'

/** `handfast controller` */
export const controller: Command = {
  summary: 'Run the certificate authority and policy source of a mesh',
  usage: `Usage: handfast controller --config FILE [FLAGS]
       handfast controller --trust-domain NAME --state-dir DIR [FLAGS]

Issues certificates to workloads that prove who they are, and keeps every proxy at the newest trust bundle and policy.
On its first start it makes a root and an intermediate in the state directory; keep a copy of that directory.
Writes JSON lines to standard output; the one with the message "ready" has the address it listens on.
SIGHUP reads the policies, the configured certificate authority and whom to federate with again; SIGTERM and SIGINT
stop it.

  --config FILE        the configuration (docs/configuration.md); the flags below go before what it says
  --state-dir DIR      where keys, hashed tokens and the journal are kept
  --trust-domain NAME  such as example.org
  --listen IP:PORT     where proxies connect; port 0 takes a free one
  --replica NAME       this controller's name, where several share the state directory
  --policy PATH        a policy file, or a directory of *.yaml files; followed as it changes

Give workloads their first proof with: handfast controller token create
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        config: { type: 'string' },
        'state-dir': { type: 'string' },
        'trust-domain': { type: 'string' },
        listen: { type: 'string' },
        replica: { type: 'string' },
        policy: { type: 'string' },
      },
    })
    const config = await readControllerConfig(values)
    const log = createLogger({ level: config.log.level, destination: io.stdout, component: 'controller' })
    const crypto = nativeCrypto({
      onFallback: (reason) => log.warn('Slower cryptography in use', { reason }),
    })
    const running = await startController(config, { crypto, transport: nodeTransport, log })
    const reload = async (): Promise<void> => {
      const { federation } = await readControllerConfig(values)
      await running.reload(federation)
      log.info('Policies read again', { policyRevision: running.board.current.policyRevision })
    }
    const onHangup = (): void => {
      reload().catch((error: unknown) =>
        log.error('Not everything could be read again; what is in force stays', {
          error,
          ...(error instanceof ConfigError && { problems: error.problems }),
        }),
      )
    }
    process.on('SIGHUP', onHangup)
    try {
      if (!io.signal.aborted) await once(io.signal, 'abort')
      log.info('Stopping')
    } finally {
      process.off('SIGHUP', onHangup)
      await running[Symbol.asyncDispose]()
    }
    log.info('Stopped')
    return ExitCode.success
  },
}
