import { Reader } from '../../src/bytes/reader.ts'
import { Writer } from '../../src/bytes/writer.ts'
import { concat, utf8 } from '../../src/bytes/bytes.ts'
import type { Engine, EngineHandlers, MakeEngine } from '../../src/net/engine-connection.ts'
import { TlsError } from '../../src/tls/errors.ts'
import type { Session } from '../../src/tls/session.ts'

const Kind = { hello: 1, finished: 2, data: 3, close: 4, alert: 5 } as const

/** The longest frame that the fake cuts its data into, so that data arrives in pieces. */
const MAX_FRAME_BYTES = 16_384

export interface FakeEngineOptions {
  readonly role: 'client' | 'server'
  /** The hello is refused with an alert when it returns false. @default accept all */
  readonly accept?: (peerName: string) => boolean
  /** @default the role */
  readonly name?: string
}

/**
 * An engine with the outer behaviour of the TLS one (handshake, records, alerts, close, truncation) and none of its cryptography:
 * for tests of what is around an engine.
 */
export function fakeEngine(options: FakeEngineOptions): MakeEngine {
  return (handlers) => new FakeEngine(options, handlers)
}

class FakeEngine implements Engine {
  readonly #options: FakeEngineOptions
  readonly #handlers: EngineHandlers
  #pending: Uint8Array = new Uint8Array()
  #established = false
  #over = false
  #peerClosed = false

  constructor(options: FakeEngineOptions, handlers: EngineHandlers) {
    this.#options = options
    this.#handlers = handlers
  }

  start(): void {
    if (this.#options.role === 'client') this.#hello()
  }

  receive(bytes: Uint8Array): void {
    this.#pending = concat(this.#pending, bytes)
    while (!this.#over && this.#pending.length >= 5) {
      const header = new Reader(this.#pending)
      const kind = header.uint8('kind')
      const length = header.uint32('length')
      if (kind < Kind.hello || kind > Kind.alert) {
        this.#fail(new TlsError('TLS_NOT_TLS', 'Expected a frame of the fake engine'))
        return
      }
      if (header.remaining < length) return
      const body = header.bytes(length, 'body')
      this.#pending = this.#pending.subarray(5 + length)
      this.#frame(kind, body)
    }
  }

  receiveEnd(): void {
    if (this.#over || this.#peerClosed) return
    const code = this.#established ? 'TLS_TRUNCATED' : 'TLS_HANDSHAKE_TRUNCATED'
    this.#over = true
    this.#handlers.failed(new TlsError(code, 'The connection ended without a close'))
  }

  send(plaintext: Uint8Array): void {
    for (let at = 0; at < plaintext.length; at += MAX_FRAME_BYTES) {
      this.#output(Kind.data, plaintext.subarray(at, at + MAX_FRAME_BYTES))
    }
  }

  sendEarly(): number {
    return 0
  }

  updateKeys(): void {}

  close(): void {
    this.#output(Kind.close, new Uint8Array())
  }

  fail(error: TlsError): void {
    this.#fail(error)
  }

  [Symbol.dispose](): void {
    this.#over = true
  }

  #frame(kind: number, body: Uint8Array): void {
    if (kind === Kind.hello) this.#helloCame(new TextDecoder().decode(body))
    else if (kind === Kind.finished) this.#establish()
    else if (kind === Kind.data) {
      const reused = body.slice()
      this.#handlers.data(reused)
      // Nobody may rely on the bytes after the call: the real engine decrypts the next record into them.
      reused.fill(0xee)
    } else if (kind === Kind.close) {
      this.#peerClosed = true
      this.#handlers.peerClosed()
    } else {
      this.#over = true
      this.#handlers.failed(
        new TlsError('TLS_PEER_ALERT', 'The peer refused', { received: new TextDecoder().decode(body) }),
      )
    }
  }

  #helloCame(peerName: string): void {
    if (this.#options.accept?.(peerName) === false) {
      this.#fail(new TlsError('TLS_CERTIFICATE_REJECTED', `${peerName} is refused`))
      return
    }
    if (this.#options.role === 'server') {
      this.#hello()
    } else {
      this.#output(Kind.finished, new Uint8Array())
      this.#establish()
    }
  }

  #hello(): void {
    this.#output(Kind.hello, utf8(this.#options.name ?? this.#options.role))
  }

  #establish(): void {
    this.#established = true
    const session: Session = {
      role: this.#options.role,
      version: 'TLS 1.3',
      cipherSuite: 'TLS_AES_128_GCM_SHA256',
      group: 'x25519',
      resumed: false,
      echAccepted: false,
      earlyData: 'disabled',
      exportKeyingMaterial: () => new Uint8Array(),
    }
    this.#handlers.established(session)
  }

  #fail(error: TlsError): void {
    this.#over = true
    this.#output(Kind.alert, utf8(error.alert ?? ''))
    this.#handlers.failed(error)
  }

  #output(kind: number, body: Uint8Array): void {
    this.#handlers.output(new Writer().uint8(kind).uint32(body.length).bytes(body).finish())
  }
}
