import assert from 'node:assert/strict'
import test from 'node:test'
import { runEngine, type Engine, type EngineHandlers } from '../../src/net/engine-connection.ts'
import type { Connection } from '../../src/net/transport.ts'
import { TlsError } from '../../src/tls/errors.ts'
import type { Session } from '../../src/tls/session.ts'

const ADDRESS = { host: '127.0.0.1', port: 1 }

/** A transport that notes when it was paused. */
class NotingTransport implements Connection {
  readonly local = ADDRESS
  readonly remote = ADDRESS
  readonly calls: string[] = []

  attach(): void {
    this.calls.push('attach')
  }
  write(): boolean {
    return true
  }
  pause(): void {
    this.calls.push('pause')
  }
  resume(): void {
    this.calls.push('resume')
  }
  end(): void {
    this.calls.push('end')
  }
  abort(): void {
    this.calls.push('abort')
  }
}

/** Runs an engine that does nothing by itself. */
function run(transport: Connection): {
  readonly handlers: EngineHandlers
  readonly connected: ReturnType<typeof runEngine>
} {
  const nothing = (): void => undefined
  const engine: Engine = {
    start: nothing,
    receive: nothing,
    receiveEnd: nothing,
    send: nothing,
    sendEarly: () => 0,
    updateKeys: nothing,
    close: nothing,
    fail: nothing,
    [Symbol.dispose]: nothing,
  }
  let handlers: EngineHandlers | undefined
  const connected = runEngine(transport, { deadlineMs: 60_000 }, (given) => {
    handlers = given
    return engine
  })
  return { handlers: handlers!, connected }
}

test('runEngine pauses the transport while the handshake waits for an answer from outside', async () => {
  const transport = new NotingTransport()
  const { handlers, connected } = run(transport)
  handlers.waiting(true)
  handlers.waiting(false)
  assert.deepEqual(transport.calls, ['attach', 'pause', 'resume'])
  handlers.failed(new TlsError('TLS_INTERNAL', 'That is all'))
  await assert.rejects(connected, { code: 'TLS_INTERNAL' })
  // The linger of a failed connection ends with the transport.
  transport.abort()
})

test('runEngine leaves the pace of an open connection to whoever uses it', async () => {
  const transport = new NotingTransport()
  const { handlers, connected } = run(transport)
  handlers.established({} as Session)
  const connection = await connected
  const before = [...transport.calls]
  handlers.waiting(false)
  assert.deepEqual(transport.calls, before)
  connection.abort()
})
