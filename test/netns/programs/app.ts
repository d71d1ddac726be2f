/**
 * An application that does as it is told, one line of JSON after the other: it answers on ports, and talks to others. What it answers
 * says whom it takes for its client, which shows which way a connection came.
 */
import { connect, createServer, type Server } from 'node:net'
import { createInterface } from 'node:readline'
import type { Order, Told } from '../../support/network-app.ts'

/** Nothing that a test waits for takes longer. */
const TIMEOUT_MS = 8_000

const servers = new Map<number, Server>()

createInterface(process.stdin).on('line', (line) => {
  const { id, order } = JSON.parse(line) as { readonly id: number; readonly order: Order }
  void obey(order).then((told) => process.stdout.write(`${JSON.stringify({ id, told })}\n`))
})

function obey(order: Order): Promise<Told> {
  switch (order.kind) {
    case 'serve':
      return serve(order)
    case 'close':
      return new Promise((resolve) => servers.get(order.port)!.close(() => resolve({})))
    case 'talk':
      return talk(order.host, order.port, order.text)
  }
}

function serve({ port, greeting = '' }: Extract<Order, { kind: 'serve' }>): Promise<Told> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.write(greeting)
    const chunks: Buffer[] = []
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', () => {})
    socket.on('end', () => {
      const client = (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
      socket.end(`${client} said ${Buffer.concat(chunks).toString('latin1')}`)
    })
  })
  servers.set(port, server)
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }))
    server.listen({ port, host: '::' }, () => resolve({}))
  })
}

function talk(host: string, port: number, text: string): Promise<Told> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket = connect({ host, port, allowHalfOpen: true }, () => socket.end(text))
    socket.setTimeout(TIMEOUT_MS, () =>
      socket.destroy(Object.assign(new Error('too late'), { code: 'LATE' })),
    )
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }))
    socket.on('end', () => resolve({ text: Buffer.concat(chunks).toString() }))
  })
}
