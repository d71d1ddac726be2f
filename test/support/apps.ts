/** Applications of the plain kind that stand behind a proxy in tests. */
import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Address } from '../../src/config/address.ts'

/** Whoever clears away in the end: a test, or a bench. */
export interface Cleanup {
  after(clear: () => unknown): void
}

/** A server on loopback that counts what reaches it. */
export interface TestApp {
  readonly address: Address
  /** Connections so far. */
  readonly connections: () => number
  readonly server: HttpServer | Server
}

export function tcpApp(t: Cleanup, serve: (socket: Socket) => void): Promise<TestApp> {
  return started(
    t,
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      serve(socket)
    }),
  )
}

export function httpApp(t: Cleanup, serve: RequestListener): Promise<TestApp> {
  return started(t, createHttpServer(serve))
}

async function started(t: Cleanup, server: HttpServer | Server): Promise<TestApp> {
  let connections = 0
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const bound = server.address()
  if (typeof bound !== 'object' || bound === null) throw new Error('The application has no address')
  return { address: { host: '127.0.0.1', port: bound.port }, connections: () => connections, server }
}

/** A client's socket that may end one half, and that the test reads by itself. */
export async function dial(t: Cleanup, { host, port }: Address): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true })
  t.after(() => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => {})
  return socket
}

/** Everything up to the end, or how it broke. */
export function outcomeOf(socket: Socket): Promise<{ readonly text: string; readonly error?: string }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.once('end', () => resolve({ text: Buffer.concat(chunks).toString() }))
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve({ text: Buffer.concat(chunks).toString(), error: error.code ?? error.message }),
    )
  })
}

/** Resolves once nobody listens at an address any more. */
export async function refusing({ host, port }: Address): Promise<void> {
  for (;;) {
    const socket = connect({ host, port })
    const code = await new Promise<string | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined))
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    })
    socket.destroy()
    if (code === 'ECONNREFUSED') return
  }
}
