/**
 * A controller that ends as by `kill -9` right before its n-th operation on the files of its authority and its trust bundle.
 *
 * Usage: dying-controller.ts N CONFIG
 */
import * as nodeFiles from 'node:fs/promises'
import type { FileOperations } from '../../src/ca/durable-file.ts'
import { startController } from '../../src/cmd/controller/controller.ts'
import { readControllerConfig } from '../../src/cmd/controller/settings.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { nodeTransport } from '../../src/net/node-transport.ts'
import { createLogger } from '../../src/telemetry/log.ts'

let left = Number(process.argv[2])

/** Each file that is opened, and each directory, is written or flushed next; the other operations take effect themselves. */
function dying<Name extends keyof FileOperations>(name: Name): FileOperations[Name] {
  const operation = nodeFiles[name] as (...args: readonly unknown[]) => unknown
  return ((...args: readonly unknown[]) => {
    if (--left === 0) process.kill(process.pid, 'SIGKILL')
    return operation(...args)
  }) as FileOperations[Name]
}

const config = await readControllerConfig({ config: process.argv[3] })
await startController(config, {
  crypto: nativeCrypto(),
  transport: nodeTransport,
  log: createLogger({ level: config.log.level, destination: process.stdout, component: 'controller' }),
  files: { open: dying('open'), rename: dying('rename'), rm: dying('rm') },
})
