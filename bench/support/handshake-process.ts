/**
 * A program that makes handshakes when its parent tells it to, by one implementation: so it shares neither heap nor
 * compiled code with the one that it is compared to.
 *
 * `node bench/support/handshake-process.ts engine|node:tls memory|epoll|node GROUP`
 */
import { chooseTransport } from '../../src/net/choose-transport.ts'
import { mintWorkloads } from '../../test/support/tls-workloads.ts'
import { engineInMemory, engineOverLoopback } from './engine-handshaker.ts'
import type { BenchGroup, Handshaker } from './handshaker.ts'
import type { RoundOrder } from './handshake-side.ts'
import { rateOf } from './interleaved.ts'
import { nodeTlsInMemory, nodeTlsOverLoopback } from './node-tls-handshaker.ts'

const [implementation, where, group] = process.argv.slice(2) as [string, string, BenchGroup]
const handshaker = await makeHandshaker()
process.on('message', (order: RoundOrder) => void round(order))
process.on('disconnect', () => void handshaker[Symbol.asyncDispose]())
process.send!('ready')

async function makeHandshaker(): Promise<Handshaker> {
  const workloads = await mintWorkloads('ec-p256', Date.now())
  if (implementation === 'node:tls')
    return where === 'memory' ? nodeTlsInMemory(workloads, group) : nodeTlsOverLoopback(workloads, group)
  if (where === 'memory') return engineInMemory(workloads, group)
  const transport = chooseTransport(where === 'epoll' ? 'epoll' : 'node', { onFallback: () => undefined })
  return engineOverLoopback(workloads, group, transport)
}

async function round({ resumed, count }: RoundOrder): Promise<void> {
  // What is resumed goes on from a full handshake once, and from a resumed one from there.
  await handshaker.connect(false)
  process.send!(await rateOf(() => handshaker.connect(resumed), count))
}
