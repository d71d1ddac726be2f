import { MessageChannel } from 'node:worker_threads'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { opensslTransport } from '../../src/proxy/openssl-transport.ts'
import { engineTransport } from '../../src/proxy/secure-transport.ts'
import { runDataPlane } from '../../src/proxy/threads/data-plane.ts'
import type { FromThread, ThreadOptions, ToThread } from '../../src/proxy/threads/messages.ts'
import type { Thread } from '../../src/proxy/threads/thread-slot.ts'
import { TRANSPORT } from './transports.ts'

/**
 * A data plane on this thread that is spoken to as if it had one of its own: every message is cloned and comes later. It starts
 * at once, where a thread takes a moment.
 */
export function startInlineThread(options: ThreadOptions): Thread {
  const { port1, port2 } = new MessageChannel()
  const ended = Promise.withResolvers<unknown>()
  const end = (): void => port2.close()
  // What was said before is heard before.
  port1.once('close', () => ended.resolve(new Error('It has ended')))
  const port = {
    postMessage: (message: FromThread) => port2.postMessage(message),
    on: (event: 'message', listener: (message: ToThread) => void) => port2.on(event, listener),
    unref: end,
  }
  runDataPlane(port, options, {
    // The transport outlives this data plane: others of the test use it, too.
    transport: { ...TRANSPORT, [Symbol.dispose]() {} },
    secure: options.config.tlsEngine === 'openssl' ? opensslTransport : engineTransport,
    crypto: nativeCrypto(),
    nowMs: Date.now,
  })
  return { port: port1, ended: ended.promise, terminate: async () => end() }
}
