/**
 * The load: `node load.ts PORT WORKLOAD SECONDS CONNECTIONS`, a closed loop over plain sockets. Prints one line of JSON, a
 * {@link LoadResult}. Workloads: `requests` (each connection asks again and again), `connections` (a new connection for each request),
 * `bulk` (one connection fetches large answers).
 */
import { connect, type Socket } from 'node:net'
import type { LoadResult, WorkloadName } from './workload.ts'

/** Of one answer to the bulk workload: long enough that its head does not matter. */
const BULK_BYTES = 64 * 1024 * 1024

const [port, workload, seconds, connections] = process.argv.slice(2)
const latenciesMs: number[] = []
let bytes = 0
const beginMs = performance.now()
const endMs = beginMs + Number(seconds) * 1000
const run = { requests: onOneConnection, connections: onNewConnections, bulk: onOneConnection }
await Promise.all(Array.from({ length: Number(connections) }, () => run[workload as WorkloadName]()))
process.stdout.write(`${JSON.stringify(result())}\n`)

async function onOneConnection(): Promise<void> {
  const socket = await open()
  while (performance.now() < endMs) await ask(socket)
  socket.destroy()
}

async function onNewConnections(): Promise<void> {
  while (performance.now() < endMs) {
    const startMs = performance.now()
    const socket = await open()
    await ask(socket, startMs)
    socket.destroy()
  }
}

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(port), noDelay: true })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Sends one request and takes its whole answer; only the length of what comes is looked at after the head. */
function ask(socket: Socket, startMs = performance.now()): Promise<void> {
  return new Promise((resolve, reject) => {
    let head = ''
    let left: number | undefined
    const onData = (chunk: Buffer): void => {
      let bodyBytes = chunk.length
      if (left === undefined) {
        head += chunk.toString('latin1')
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        const status = head.slice(9, 12)
        const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
        if (status !== '200' || length === undefined) {
          fail(new Error(`Unexpected answer: ${head.slice(0, end)}`))
          return
        }
        left = Number(length)
        bodyBytes = head.length - end - 4
      }
      left -= bodyBytes
      bytes += bodyBytes
      // A large transfer stops at the deadline; what came until then counts.
      if (left > 0 && !(workload === 'bulk' && performance.now() > endMs)) return
      latenciesMs.push(performance.now() - startMs)
      forget()
      resolve()
    }
    const onClose = (): void => fail(new Error('The connection closed before the answer was whole'))
    function fail(error: Error): void {
      forget()
      reject(error)
    }
    function forget(): void {
      socket.off('data', onData).off('close', onClose).off('error', fail)
      socket.on('error', () => {})
    }
    socket.on('data', onData).on('close', onClose).on('error', fail)
    const path = workload === 'bulk' ? `/bytes/${BULK_BYTES}` : '/'
    socket.write(`GET ${path} HTTP/1.1\r\nhost: catalog\r\n\r\n`)
  })
}

function result(): LoadResult {
  latenciesMs.sort((a, b) => a - b)
  const at = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? 0
  return {
    seconds: (performance.now() - beginMs) / 1000,
    answers: latenciesMs.length,
    bytes,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  }
}
