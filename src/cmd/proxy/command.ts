import { once } from 'node:events'
import { formatAddress } from '../../config/address.ts'
import { MAX_THREADS } from '../../config/proxy-config.ts'
import { RenewalQueue } from '../../control/renewal-queue.ts'
import { systemTimers } from '../../control/timers.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { chooseTransport } from '../../net/choose-transport.ts'
import { nodeTransport } from '../../net/node-transport.ts'
import { releaseMemory } from '../../native/release-memory.ts'
import { MeshViews, type MeshView } from '../../proxy/mesh-view.ts'
import { decisionIds } from '../../proxy/decision-ids.ts'
import { startProxy, type RunningProxy } from '../../proxy/proxy.ts'
import { createLogger } from '../../telemetry/log.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseCount, parseFlags, required } from '../flags.ts'
import { MeshLink } from './mesh-link.ts'
import { asPortInUse, readProxySettings } from './settings.ts'
import { startWorkerThread } from './start-thread.ts'

/** After a change of policy or certificate, when what it caused is over. */
const RELEASE_AFTER_MS = 2_000

/** `handfast proxy` */
export const proxy: Command = {
  summary: 'Run the sidecar beside a workload',
  usage: `Usage: handfast proxy --config FILE

Carries the traffic of one workload: plaintext with the workload itself, mutual TLS 1.3 with everyone else.
Gets its certificate and policy from the controller and refuses everything until it has both (docs/proxy.md).
Writes JSON lines to standard output: "listening" has the addresses, "ready" says that traffic passes, "access" is
a connection or a request. SIGTERM and SIGINT drain it.

  --config FILE   the configuration (docs/configuration.md)
  --threads N     threads that carry traffic, instead of spec.threads
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: { config: { type: 'string' }, threads: { type: 'string' } },
    })
    const file = required('--config', values.config, 'a file')
    const settings = await readProxySettings(file, {
      ...(values.threads !== undefined && { threads: parseThreads(values.threads) }),
    })
    const { config } = settings
    const log = createLogger({ level: config.log.level, destination: io.stdout, component: 'proxy' })
    const crypto = nativeCrypto({
      onFallback: (reason) => log.warn('Slower cryptography in use', { reason }),
    })
    // Each thread makes its own in the same way.
    const { name: transport } = chooseTransport(config.transport, {
      onFallback: (reason) => log.warn('Slower transport in use', { reason }),
    })
    const views = new MeshViews()
    const newId = decisionIds(crypto)
    using link = new MeshLink({
      settings,
      crypto,
      views,
      queue: new RenewalQueue(systemTimers),
      log,
      newId,
      settled: () => running.settled(),
    })
    await using workloadApi = new AsyncDisposableStack()
    if (config.workloadApi !== undefined) {
      // Most proxies serve none, and a gRPC server takes memory.
      const { startWorkloadApi } = await import('./workload-api.ts')
      workloadApi.use(
        await startWorkloadApi({
          config: config.workloadApi,
          file,
          identity: link.workloadIdentity,
          crypto,
          log,
        }),
      )
    }
    const running = await startProxy({
      config,
      startThread: startWorkerThread,
      transport: nodeTransport,
      crypto,
      nowMs: Date.now,
      views,
      log,
      onLines: (text) => io.stdout.write(text),
      onMet: (chains) => link.report(chains),
      random: Math.random,
      stateNumber: () => link.stateNumber,
    }).catch((error: unknown) => {
      throw asPortInUse(error, settings)
    })
    const { tlsEngine, threads } = config
    log.info('listening', { ...addressFields(running), transport, tlsEngine, threads })
    void whenReady(views, running).then(({ svid, policy }) =>
      log.info('ready', {
        ...addressFields(running),
        spiffeId: svid.id.toString(),
        policyRevision: policy.revision,
      }),
    )
    const stopReleasing = releaseAfterChanges(views)
    link.start()
    if (!io.signal.aborted) await Promise.race([once(io.signal, 'abort'), running.stopped])
    stopReleasing()
    await running.drain()
    return ExitCode.success
  },
}

/** Whatever the controller sends leaves garbage behind, and this thread has the time to clear it away. */
function releaseAfterChanges(views: MeshViews): () => void {
  let timer: NodeJS.Timeout | undefined
  const stop = views.onChange(() => {
    clearTimeout(timer)
    timer = setTimeout(releaseMemory, RELEASE_AFTER_MS).unref()
  })
  return () => {
    stop()
    clearTimeout(timer)
  }
}

/** @throws UsageError */
function parseThreads(text: string): number {
  const threads = parseCount('--threads', text, MAX_THREADS)
  if (threads > 0) return threads
  throw new UsageError('--threads: expected at least one thread, got 0')
}

/** The first view that the data plane works with. */
async function whenReady(views: MeshViews, running: RunningProxy): Promise<MeshView> {
  for (;;) {
    const view = await views.next()
    if (
      await running.settled().then(
        () => true,
        () => false,
      )
    )
      return view
  }
}

function addressFields({ admin, addresses }: RunningProxy): Record<string, unknown> {
  return {
    admin: formatAddress(admin),
    listeners: Object.fromEntries(
      Object.entries(addresses).map(([name, address]) => [name, formatAddress(address)]),
    ),
  }
}
