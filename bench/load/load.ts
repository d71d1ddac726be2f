/**
 * The load: `node load.ts PORT MODE SECONDS CONNECTIONS [RATE]` over plain sockets. Prints one line of JSON, a {@link LoadResult}.
 *
 * Modes: `requests` (each connection asks again and again), `connections` (a new connection for each request), `bulk` (each
 * connection fetches large answers), `rate` (an open loop: so many requests a second fall due, and wait for a free connection; their
 * time counts from when they were due), `idle` (opens all connections, asks once on each, and holds them until standard input ends).
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { LoadMode, LoadResult } from './workload.ts'

/** Of one answer to the bulk workload: long enough that its head does not matter. */
const BULK_BYTES = 64 * 1024 * 1024

/** So many connections are being opened at a time in mode `idle`. */
const OPENING = 32

/** Requests of the open loop fall due in steps of this. */
const STEP_MS = 1

const [port, mode, seconds, connections, rate] = process.argv.slice(2)
const latenciesMs: number[] = []
let bytes = 0
const beginMs = performance.now()
const endMs = beginMs + Number(seconds) * 1000
const count = Number(connections)
const run: Record<LoadMode, () => Promise<unknown>> = {
  requests: () => onEach(askAgain),
  bulk: () => onEach(askAgain),
  connections: () => onEach(connectAgain),
  rate: atRate,
  idle,
}
await run[mode as LoadMode]()
process.stdout.write(`${JSON.stringify(result())}\n`)

function onEach(task: () => Promise<void>): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, task))
}

async function askAgain(): Promise<void> {
  const socket = await open()
  while (performance.now() < endMs) await ask(socket)
  socket.destroy()
}

async function connectAgain(): Promise<void> {
  while (performance.now() < endMs) {
    const startMs = performance.now()
    const socket = await open()
    await ask(socket, startMs)
    socket.destroy()
  }
}

async function atRate(): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: count }, open))
  const free = [...sockets]
  const waiting: number[] = []
  const firstMs = performance.now()
  const total = Number(rate) * Number(seconds)
  const serve = async (socket: Socket, dueMs: number): Promise<void> => {
    for (let next: number | undefined = dueMs; next !== undefined; next = waiting.shift())
      await ask(socket, next)
    free.push(socket)
  }
  await new Promise<void>((resolve) => {
    let due = 0
    const timer = setInterval(() => {
      for (const nowMs = performance.now(); due < total; due++) {
        const dueMs = firstMs + Math.floor((due * 1000) / Number(rate) / STEP_MS) * STEP_MS
        if (dueMs > nowMs) break
        const socket = free.pop()
        if (socket === undefined) waiting.push(dueMs)
        else void serve(socket, dueMs)
      }
      if (latenciesMs.length < total) return
      clearInterval(timer)
      resolve()
    }, STEP_MS)
  })
  for (const socket of sockets) socket.destroy()
}

async function idle(): Promise<void> {
  const sockets: Socket[] = []
  const openSome = async (): Promise<void> => {
    while (sockets.length < count) {
      const place = sockets.push(undefined as unknown as Socket) - 1
      const socket = await open()
      await ask(socket)
      sockets[place] = socket
    }
  }
  await Promise.all(Array.from({ length: OPENING }, openSome))
  process.stdout.write(`${JSON.stringify({ held: sockets.length })}\n`)
  process.stdin.resume()
  await once(process.stdin, 'end')
  for (const socket of sockets) socket.destroy()
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
      if (left > 0 && !(mode === 'bulk' && performance.now() > endMs)) return
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
      socket.on('error', ignore)
    }
    socket.off('error', ignore)
    socket.on('data', onData).on('close', onClose).on('error', fail)
    const path = mode === 'bulk' ? `/bytes/${BULK_BYTES}` : '/'
    socket.write(`GET ${path} HTTP/1.1\r\nhost: catalog\r\n\r\n`)
  })
}

function ignore(): void {}

function result(): LoadResult {
  latenciesMs.sort((a, b) => a - b)
  const at = (share: number): number => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? 0
  return {
    seconds: (performance.now() - beginMs) / 1000,
    answers: latenciesMs.length,
    bytes,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
  }
}
