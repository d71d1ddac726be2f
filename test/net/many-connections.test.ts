import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import test, { type TestContext } from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { secureClient, secureServer } from '../../src/net/secure-connection.ts'
import type { Connection } from '../../src/net/transport.ts'
import { mintSvid, mintTrustDomain } from '../support/certificates.ts'
import { countingAeads } from '../support/counting-crypto.ts'
import { collectGarbage } from '../support/garbage.ts'
import { TRANSPORTS } from '../support/transports.ts'

/** HANDFAST_CONNECTIONS=100000 runs so many of both kinds; what runs always takes some seconds. */
const wanted = process.env['HANDFAST_CONNECTIONS']
const PLAIN_CONNECTIONS = Number(wanted ?? 20_000)
const SECURE_CONNECTIONS = Number(wanted ?? 600)

const WARM_UP_CONNECTIONS = 10_000

/** After a collection; a leak of half a kilobyte each would be more. */
const TOLERATED_HEAP_BYTES = 8 * 2 ** 20

/** The allocator and the collector keep what they like for later; what they do not keep does not grow with every run. */
const TOLERATED_RESIDENT_BYTES = 64 * 2 ** 20

const AT_A_TIME = 16
const TIMEOUT = { timeoutMs: 20_000 }

for (const transport of TRANSPORTS) {
  test(`${transport.name}Transport has nothing left of ${PLAIN_CONNECTIONS} short connections`, async (t) => {
    const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, echo)
    t.after(() => listener.close())
    await leavesNothing(t, PLAIN_CONNECTIONS, async () => {
      await ask(await transport.connect(listener.address, TIMEOUT))
    })
  })

  test(`SecureConnection has nothing left of ${SECURE_CONNECTIONS} handshakes, over ${transport.name}`, async (t) => {
    const crypto = countingAeads(nativeCrypto())
    const domain = await mintTrustDomain()
    const [web, catalog] = await Promise.all(
      ['web', 'catalog'].map((name) =>
        mintSvid(domain.intermediate, `spiffe://shop.example/ns/shop/sa/${name}`),
      ),
    )
    const verifier = svidVerifier({ bundles: () => domain.bundles, crypto })
    const common = { crypto, nowMs: Date.now }
    const limits = { deadlineMs: 20_000 }
    const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (raw) => {
      const options = { ...common, clientVerifier: verifier, credential: () => catalog! }
      void secureServer(raw, options, limits).then(echo)
    })
    t.after(() => listener.close())
    await leavesNothing(t, SECURE_CONNECTIONS, async () => {
      const raw = await transport.connect(listener.address, TIMEOUT)
      await ask(await secureClient(raw, { ...common, verifier, credential: web! }, limits))
    })
    assert.equal(crypto.live, 0)
  })
}

function echo(connection: Connection): void {
  connection.attach({
    data: (bytes) => connection.write(bytes),
    end: () => connection.end(),
    drain: () => undefined,
    closed: () => undefined,
  })
}

/** One question, its echo, and the end in order. */
function ask(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.attach({
      data: () => connection.end(),
      end: () => undefined,
      drain: () => undefined,
      closed: (error) => (error === undefined ? resolve() : reject(error)),
    })
    connection.write(utf8('anybody there?'))
  })
}

async function leavesNothing(t: TestContext, count: number, one: () => Promise<void>): Promise<void> {
  // Compiled code, caches and the allocator's reserve take their final size first.
  await run(Math.min(count, WARM_UP_CONNECTIONS))
  const before = measured()
  await run(count)
  // The last connections close on the other side a moment later.
  for (let i = 0; i < 100 && measured().descriptors > before.descriptors; i++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  const after = measured()
  const heapBytes = after.heapBytes - before.heapBytes
  const residentBytes = after.residentBytes - before.residentBytes
  t.diagnostic(`the heap grew by ${heapBytes >> 10} KiB, RSS by ${residentBytes >> 10} KiB`)
  assert.equal(after.descriptors, before.descriptors)
  assert.ok(heapBytes < TOLERATED_HEAP_BYTES, `${heapBytes} bytes of heap are kept`)
  assert.ok(residentBytes < TOLERATED_RESIDENT_BYTES, `${residentBytes} bytes of memory are kept`)

  async function run(connections: number): Promise<void> {
    let left = connections
    const worker = async (): Promise<void> => {
      while (left-- > 0) await one()
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  }
}

interface Measured {
  readonly descriptors: number
  readonly heapBytes: number
  readonly residentBytes: number
}

function measured(): Measured {
  collectGarbage()
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    heapBytes: heapUsed + arrayBuffers,
    residentBytes: rss,
  }
}
