import { once } from 'node:events'
import { formatAddress } from '../../config/address.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { chooseTransport } from '../../net/choose-transport.ts'
import { MeshViews } from '../../proxy/mesh-view.ts'
import { decisionIds, startProxy, type RunningProxy } from '../../proxy/proxy.ts'
import { createLogger } from '../../telemetry/log.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags, required } from '../flags.ts'
import { MeshLink } from './mesh-link.ts'
import { asPortInUse, readProxySettings } from './settings.ts'

/** `handfast proxy` */
export const proxy: Command = {
  summary: 'Run the sidecar beside a workload',
  usage: `Usage: handfast proxy --config FILE

Carries the traffic of one workload: plaintext with the workload itself, mutual TLS 1.3 with everyone else.
Gets its certificate and policy from the controller and refuses everything until it has both (docs/proxy.md).
Writes JSON lines to standard output: "listening" has the addresses, "ready" says that traffic passes, "access" is
a connection or a request. SIGTERM and SIGINT drain it.

  --config FILE   the configuration (docs/configuration.md)
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, { options: { config: { type: 'string' } } })
    const settings = await readProxySettings(required('--config', values.config, 'a file'))
    const { config } = settings
    const log = createLogger({ level: config.log.level, destination: io.stdout, component: 'proxy' })
    const crypto = nativeCrypto({
      onFallback: (reason) => log.warn('Slower cryptography in use', { reason }),
    })
    const transport = chooseTransport(config.transport, {
      onFallback: (reason) => log.warn('Slower transport in use', { reason }),
    })
    const views = new MeshViews()
    const newId = decisionIds(crypto)
    using link = new MeshLink({ settings, crypto, views, log, newId })
    const running = await startProxy({
      config,
      transport,
      crypto,
      nowMs: Date.now,
      views,
      log,
      newId,
      stateNumber: () => link.stateNumber,
    }).catch((error: unknown) => {
      throw asPortInUse(error, settings)
    })
    log.info('listening', { ...addressFields(running), transport: transport.name })
    const stopWaiting = views.onChange(({ svid, policy }) => {
      stopWaiting()
      log.info('ready', {
        ...addressFields(running),
        spiffeId: svid.id.toString(),
        policyRevision: policy.revision,
      })
    })
    link.start()
    if (!io.signal.aborted) await Promise.race([once(io.signal, 'abort'), running.stopped])
    await running.drain()
    return ExitCode.success
  },
}

function addressFields({ admin, addresses }: RunningProxy): Record<string, unknown> {
  return {
    admin: formatAddress(admin),
    listeners: Object.fromEntries(
      Object.entries(addresses).map(([name, address]) => [name, formatAddress(address)]),
    ),
  }
}
