/**
 * Full and resumed handshakes with certificates on both sides, and bulk data, by the engine and by node:tls: client and
 * server on one thread of one process, each implementation in a process of its own, in memory and over loopback. There the
 * engine runs on the transport that a proxy would choose, and once on Node's sockets, as node:tls always does. Rounds
 * are interleaved and medians shown. Only the ratios mean anything on another machine.
 *
 * `node bench/handshake.bench.ts [--rounds N] [--handshakes N] [--json FILE]`
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { nativeCrypto } from '../src/crypto/native-provider.ts'
import { loadSockets } from '../src/native/sockets.ts'
import { mintWorkloads, verifierFor } from '../test/support/tls-workloads.ts'
import { EnginePair } from './support/engine-handshaker.ts'
import { HandshakeSide, type Meeting } from './support/handshake-side.ts'
import type { BenchGroup } from './support/handshaker.ts'
import { interleaved, median, type Rate } from './support/interleaved.ts'
import { nodeContexts, nodePair } from './support/node-tls-handshaker.ts'

const BULK_BYTES = 32 * 1024 * 1024
/** What one write carries: four full records. */
const CHUNK = new Uint8Array(65_536).fill(0x61)

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    /** In each round: enough that the first ones, in the caches that the other process has left, hardly count. */
    handshakes: { type: 'string', default: '1000' },
    json: { type: 'string' },
  },
})
const rounds = Number(flags.rounds)
const handshakes = Number(flags.handshakes)

/** Before the first round, for the compilers: a proxy has made as many in its first minutes. */
const WARM_UP_HANDSHAKES = 4000

const workloads = await mintWorkloads('ec-p256', Date.now())

const MEETINGS: Readonly<Record<Meeting, string>> = {
  memory: 'in memory',
  epoll: 'over loopback (epoll)',
  node: 'over loopback (node)',
}

interface Row {
  readonly what: string
  readonly unit: '/s' | 'MB/s'
  readonly engine: number
  readonly nodeTls: number
  /** How many times as fast the engine is. */
  readonly ratio: number
  readonly engineCpuMicroseconds?: number
  readonly nodeTlsCpuMicroseconds?: number
  /** How many times as much processor time node:tls takes. */
  readonly cpuRatio?: number
}

const rows: Row[] = []
const sockets = loadSockets()
if (sockets.kind === 'missing') print(`Without epoll: ${sockets.reason}`)
for (const group of ['x25519', 'X25519MLKEM768'] as const) {
  await measure(group, 'memory')
  await measure(group, sockets.kind === 'available' ? 'epoll' : 'node')
}
if (sockets.kind === 'available') await measure('x25519', 'node')
await measureBulk()
if (flags.json !== undefined)
  await writeFile(
    flags.json,
    `${JSON.stringify({ node: process.version, rounds, handshakes, rows }, undefined, 2)}\n`,
  )

/** Full ones, then resumed ones. */
async function measure(group: BenchGroup, where: Meeting): Promise<void> {
  await using engine = await HandshakeSide.start('engine', where, group)
  await using nodeTls = await HandshakeSide.start('node:tls', where, group)
  for (const resumed of [false, true]) {
    for (const side of [engine, nodeTls]) await side.round({ resumed, count: WARM_UP_HANDSHAKES })
    const order = { resumed, count: handshakes }
    const [ours, theirs] = await interleaved(
      rounds,
      () => engine.round(order),
      () => nodeTls.round(order),
    )
    show(`${resumed ? 'resumed' : 'full   '} handshakes, ${group}, ${MEETINGS[where]}`, ours, theirs)
  }
}

function show(what: string, ours: readonly Rate[], theirs: readonly Rate[]): void {
  const engine = median(ours.map(({ perSecond }) => perSecond))
  const nodeTls = median(theirs.map(({ perSecond }) => perSecond))
  const engineCpu = median(ours.map(({ cpuMicroseconds }) => cpuMicroseconds))
  const nodeTlsCpu = median(theirs.map(({ cpuMicroseconds }) => cpuMicroseconds))
  rows.push({
    what,
    unit: '/s',
    engine,
    nodeTls,
    ratio: engine / nodeTls,
    engineCpuMicroseconds: engineCpu,
    nodeTlsCpuMicroseconds: nodeTlsCpu,
    cpuRatio: nodeTlsCpu / engineCpu,
  })
  const rates = `${(engine / nodeTls).toFixed(2)}× (engine ${engine.toFixed(0)}/s, node:tls ${nodeTls.toFixed(0)}/s)`
  const costs = `processor time ${engineCpu.toFixed(0)} and ${nodeTlsCpu.toFixed(0)} µs: ${(nodeTlsCpu / engineCpu).toFixed(2)}×`
  print(`${what}: ${rates}; ${costs}`)
}

/** Each in its turn in this process, which has done nothing else. */
async function measureBulk(): Promise<void> {
  const [ours, theirs] = await interleaved(rounds, () => Promise.resolve(engineBulk()), nodeBulk)
  const [engine, nodeTls] = [median(ours), median(theirs)]
  const what = 'bulk, one direction, sealed and opened, AES-128-GCM'
  rows.push({ what, unit: 'MB/s', engine, nodeTls, ratio: engine / nodeTls })
  print(
    `${what}: ${(engine / nodeTls).toFixed(2)}× (engine ${engine.toFixed(0)}, node:tls ${nodeTls.toFixed(0)} MB/s)`,
  )
}

/** In megabytes per second. */
function engineBulk(): number {
  const verifier = verifierFor(workloads)
  const common = { crypto: nativeCrypto(), nowMs: Date.now }
  using pair = new EnginePair(
    { ...common, verifier, credential: workloads.client },
    { ...common, clientVerifier: verifier, credential: workloads.server },
  )
  const begin = performance.now()
  for (let sent = 0; sent < BULK_BYTES; sent += CHUNK.length) {
    pair.client.send(CHUNK)
    pair.pump()
  }
  if (pair.receivedBytes !== BULK_BYTES) throw new Error('The engine lost bytes')
  return megabytesPerSecond(begin)
}

/** In megabytes per second. */
async function nodeBulk(): Promise<number> {
  const { client, server } = await nodePair(nodeContexts(workloads, 'x25519')).open
  const all = Promise.withResolvers<void>()
  let receivedBytes = 0
  server.on('data', ({ length }: Uint8Array) => {
    receivedBytes += length
    if (receivedBytes === BULK_BYTES) all.resolve()
  })
  const begin = performance.now()
  for (let sent = 0; sent < BULK_BYTES; sent += CHUNK.length) {
    if (!client.write(CHUNK)) await new Promise((resolve) => client.once('drain', resolve))
  }
  await all.promise
  const rate = megabytesPerSecond(begin)
  client.destroy()
  server.destroy()
  return rate
}

function megabytesPerSecond(begin: number): number {
  return BULK_BYTES / 1e6 / ((performance.now() - begin) / 1000)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
