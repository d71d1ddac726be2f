/**
 * The load: `node load.ts PORT MODE SECONDS CONNECTIONS [RATE]`. Prints a line of JSON when it begins, once connections that are to be
 * kept are there and have answered, and another when it is over, a {@link LoadResult}.
 *
 * Modes: `requests` (each connection asks again and again), `connections` (a new connection for each request), `bulk` (each
 * connection fetches large answers), `rate` (an open loop: so many requests a second fall due, and wait for a free connection; their
 * time counts from when they were due), `idle` (opens all connections, asks once on each, and holds them until standard input ends).
 */
import { once } from 'node:events'
import { Client } from './client.ts'
import type { LoadMode, LoadResult } from './workload.ts'

/** Of one answer to the bulk workload: long enough that its head does not matter. */
const BULK_BYTES = 64 * 1024 * 1024

/** So many connections are being opened at a time in mode `idle`. */
const OPENING = 32

/** Requests of the open loop fall due in steps of this. */
const STEP_MS = 1

const [port, mode, seconds, connections, rate] = process.argv.slice(2)
const path = mode === 'bulk' ? `/bytes/${BULK_BYTES}` : '/'
const request = requestOf(path)
const latenciesMs: number[] = []
let bytes = 0
let beginMs = 0
let endMs = 0
const count = Number(connections)
const run: Record<LoadMode, () => Promise<unknown>> = {
  requests: askAgain,
  bulk: askAgain,
  connections: connectAgain,
  rate: atRate,
  idle,
}
await run[mode as LoadMode]()
process.stdout.write(`${JSON.stringify(result())}\n`)

/** From here on it counts. */
function begin(): void {
  beginMs = performance.now()
  endMs = beginMs + Number(seconds) * 1000
  process.stdout.write(`${JSON.stringify({ began: true })}\n`)
}

async function askAgain(): Promise<void> {
  const clients = await openAll()
  begin()
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < endMs) await ask(client)
      client.abort()
    }),
  )
}

async function connectAgain(): Promise<void> {
  begin()
  await Promise.all(
    Array.from({ length: count }, async () => {
      while (performance.now() < endMs) {
        const startMs = performance.now()
        const client = await open()
        await ask(client, startMs)
        client.close()
      }
    }),
  )
}

async function atRate(): Promise<void> {
  const clients = await openAll()
  const free = [...clients]
  const waiting: number[] = []
  begin()
  const firstMs = beginMs
  const total = Number(rate) * Number(seconds)
  const serve = async (client: Client, dueMs: number): Promise<void> => {
    for (let next: number | undefined = dueMs; next !== undefined; next = waiting.shift())
      await ask(client, next)
    free.push(client)
  }
  await new Promise<void>((resolve) => {
    let due = 0
    const timer = setInterval(() => {
      for (const nowMs = performance.now(); due < total; due++) {
        const dueMs = firstMs + Math.floor((due * 1000) / Number(rate) / STEP_MS) * STEP_MS
        if (dueMs > nowMs) break
        const client = free.pop()
        if (client === undefined) waiting.push(dueMs)
        else void serve(client, dueMs)
      }
      if (latenciesMs.length < total) return
      clearInterval(timer)
      resolve()
    }, STEP_MS)
  })
  for (const client of clients) client.abort()
}

async function idle(): Promise<void> {
  const clients: Client[] = []
  const openSome = async (): Promise<void> => {
    while (clients.length < count) {
      const place = clients.push(undefined as unknown as Client) - 1
      const client = await open()
      await ask(client)
      clients[place] = client
    }
  }
  await Promise.all(Array.from({ length: OPENING }, openSome))
  process.stdout.write(`${JSON.stringify({ held: clients.length })}\n`)
  process.stdin.resume()
  await once(process.stdin, 'end')
  for (const client of clients) client.abort()
}

/** Connections that have answered once: what it takes to make them is another workload's. */
function openAll(): Promise<readonly Client[]> {
  const small = requestOf('/')
  return Promise.all(
    Array.from({ length: count }, async () => {
      const client = await open()
      await client.ask(small)
      return client
    }),
  )
}

function requestOf(target: string): Uint8Array {
  return Buffer.from(`GET ${target} HTTP/1.1\r\nhost: catalog\r\n\r\n`)
}

function open(): Promise<Client> {
  return Client.open(Number(port))
}

async function ask(client: Client, startMs: number = performance.now()): Promise<void> {
  // A large transfer stops at the deadline; what came until then counts.
  const answer = await client.ask(request, () => mode === 'bulk' && performance.now() > endMs)
  bytes += answer.bytes
  latenciesMs.push(performance.now() - startMs)
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
    p999Ms: at(0.999),
  }
}
