import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { getHeapStatistics } from 'node:v8'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { secureClient, secureServer } from '../../src/net/secure-connection.ts'
import type { Connection } from '../../src/net/transport.ts'
import { ProvenPeer } from '../../src/proxy/proven-peer.ts'
import { pump } from '../../src/proxy/pump.ts'
import { mintSvid, mintTrustDomain } from '../support/certificates.ts'
import { collectGarbage } from '../support/garbage.ts'
import { idOf } from '../support/proxy-world.ts'
import { connectedPair, TRANSPORT } from '../support/transports.ts'

const MEGABYTE = 2 ** 20

/** app → pump → TLS → pump → app, as two proxies do it, on the transport that this machine has for it. */
async function chain(t: TestContext): Promise<{ near: Connection; far: Connection }> {
  const crypto = nativeCrypto()
  const domain = await mintTrustDomain()
  const [web, catalog] = await Promise.all(
    ['web', 'catalog'].map((name) => mintSvid(domain.intermediate, idOf(name))),
  )
  const verifier = svidVerifier({ bundles: () => domain.bundles, crypto })
  const [entry, middle, exit] = [
    await connectedPair(t, TRANSPORT),
    await connectedPair(t, TRANSPORT),
    await connectedPair(t, TRANSPORT),
  ]
  const common = { crypto, nowMs: Date.now }
  const limits = { deadlineMs: 10_000 }
  const [outbound, inbound] = await Promise.all([
    secureClient(middle.client, { ...common, verifier, credential: web! }, limits),
    secureServer(middle.server, { ...common, clientVerifier: verifier, credential: () => catalog! }, limits),
  ])
  void pump(ProvenPeer.of(outbound, idOf('catalog')), entry.server, outbound)
  void pump(ProvenPeer.of(inbound, idOf('web')), inbound, exit.client)
  return { near: entry.client, far: exit.server }
}

interface Used {
  /** Taken from the garbage-collected heap, given back or not. */
  readonly heapBytes: number
  /** How much more memory outside the heap there was, at the worst moment. */
  readonly mostMoreBytes: number
}

/** Carries so many bytes in blocks, and waits for each block's echo when they are small. */
async function carry(
  { near, far }: { readonly near: Connection; readonly far: Connection },
  {
    block,
    blocks,
    isEchoed,
  }: { readonly block: Uint8Array; readonly blocks: number; readonly isEchoed: boolean },
): Promise<() => Promise<Used>> {
  let left = 0
  let arrived = 0
  let wanted = 0
  let worst = 0
  let done = (): void => undefined
  far.attach({
    data(bytes) {
      if (isEchoed) far.write(bytes)
      else took(bytes.length)
    },
    end: () => undefined,
    drain: () => undefined,
    closed: () => undefined,
  })
  near.attach({
    data(bytes) {
      took(bytes.length)
      if (arrived < wanted) near.write(block)
    },
    end: () => undefined,
    drain: send,
    closed: () => undefined,
  })
  function took(bytes: number): void {
    arrived += bytes
    if (arrived % (4 * MEGABYTE) < bytes) worst = Math.max(worst, process.memoryUsage().arrayBuffers)
    if (arrived >= wanted) done()
  }
  function send(): void {
    while (left > 0) {
      left -= block.length
      if (!near.write(block) || isEchoed) return
    }
  }
  async function run(): Promise<Used> {
    arrived = 0
    left = wanted = block.length * blocks
    collectGarbage()
    worst = 0
    const outside = process.memoryUsage().arrayBuffers
    const before = getHeapStatistics().total_allocated_bytes
    await new Promise<void>((resolve) => {
      done = resolve
      send()
    })
    const heap = getHeapStatistics().total_allocated_bytes - before
    return { heapBytes: heap, mostMoreBytes: worst - outside }
  }
  // The compilers' own memory, and the buffers that are made once, come first.
  await run()
  await run()
  return run
}

/** A view is some hundred bytes; a record makes a few on each of its three TCP connections. A copy of it would be 16 KiB. */
const MAX_BYTES_PER_RECORD = 4096

/** Six deliveries, each with its turn of the event loop, and views. */
const MAX_BYTES_PER_ROUND_TRIP = 16_384

test('pump carries bulk data through TLS without new memory for a record, but for views', async (t) => {
  const run = await carry(await chain(t), { block: new Uint8Array(65_536), blocks: 1024, isEchoed: false })
  const { heapBytes, mostMoreBytes } = await run()
  t.diagnostic(`${(heapBytes / 4096).toFixed(0)} bytes of heap for each record, ${mostMoreBytes} outside`)
  assert.ok(heapBytes / 4096 < MAX_BYTES_PER_RECORD, `${heapBytes} bytes for 64 MiB`)
  assert.ok(mostMoreBytes < MEGABYTE, `${mostMoreBytes} more bytes of buffers`)
})

test('pump carries small messages through TLS without buffers for each', async (t) => {
  const run = await carry(await chain(t), { block: new Uint8Array(200), blocks: 5_000, isEchoed: true })
  const { heapBytes, mostMoreBytes } = await run()
  t.diagnostic(`${(heapBytes / 5000).toFixed(0)} bytes of heap for each round trip, ${mostMoreBytes} outside`)
  assert.ok(heapBytes / 5000 < MAX_BYTES_PER_ROUND_TRIP, `${heapBytes} bytes for 5,000 round trips`)
  assert.ok(mostMoreBytes < MEGABYTE, `${mostMoreBytes} more bytes of buffers`)
})
