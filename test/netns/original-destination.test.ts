import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { noNetworkNamespaces, runInNamespace } from '../support/network-namespace.ts'
import { TRANSPORTS } from '../support/transports.ts'

const PROGRAM = join(import.meta.dirname, 'programs/redirected.ts')
const skip = noNetworkNamespaces('ip', 'nft') ?? false

for (const { name } of TRANSPORTS) {
  test(
    `Connection.originalDestination over ${name} is where a redirected client meant to go, in both families`,
    { skip },
    async () => {
      const told = JSON.parse(await runInNamespace(PROGRAM, [name])) as unknown
      assert.deepEqual(told, [
        {
          meant: { host: '192.0.2.10', port: 8080 },
          local: '127.0.0.1',
          original: { host: '192.0.2.10', port: 8080 },
        },
        {
          meant: { host: '2001:db8::10', port: 8080 },
          local: '::1',
          original: { host: '2001:db8::10', port: 8080 },
        },
        // Straight to the listener: the kernel knows of no other destination, or names this one.
        { meant: 'the listener itself', local: '127.0.0.1', isElsewhere: false },
      ])
    },
  )
}
