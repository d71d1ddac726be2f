/** What a data-plane thread runs: the real world of one, and nothing that only the main thread needs. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { trackDescriptors } from '../../native/descriptor-table.ts'
import { releaseGrownMemory } from '../../native/release-memory.ts'
import { loadSockets } from '../../native/sockets.ts'
import { chooseTransport } from '../../net/choose-transport.ts'
import { engineTransport } from '../../proxy/secure-transport.ts'
import { runDataPlane, type DataPlaneWorld } from '../../proxy/threads/data-plane.ts'
import type { WorkerData } from './start-thread.ts'

const { options, descriptors } = workerData as WorkerData

const plane = runDataPlane(parentPort as MessagePort, options, {
  // The main thread has chosen in the same way and told the operator.
  transport: chooseTransport(options.config.transport, { onFallback() {}, probe: trackedSockets }),
  secure: await secureTransport(),
  crypto: nativeCrypto(),
  nowMs: Date.now,
  releaseMemory: releaseGrownMemory,
})

// The sockets of a thread that ends are closed as if their streams had ended in order: nobody may take a part for the whole.
process.on('uncaughtExceptionMonitor', () => plane.cut())

/** node:tls is loaded where it is used: it takes 5 MB. */
async function secureTransport(): Promise<DataPlaneWorld['secure']> {
  if (options.config.tlsEngine === 'handfast') return engineTransport
  const { opensslTransport } = await import('../../proxy/openssl-transport.ts')
  return opensslTransport
}

function trackedSockets(): ReturnType<typeof loadSockets> {
  const found = loadSockets()
  if (found.kind === 'missing') return found
  return { kind: 'available', sockets: trackDescriptors(found.sockets, descriptors) }
}
