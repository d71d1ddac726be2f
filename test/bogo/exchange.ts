/** One connection of a test: the handshake, then the echo that the suite speaks as an application. */
import net from 'node:net'
import type { TlsConnection } from '../../src/tls/connection.ts'
import { TlsError } from '../../src/tls/errors.ts'
import { HandshakeType } from '../../src/tls/registry.ts'
import type { Session } from '../../src/tls/session.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import { connect, refusalOf } from './endpoint.ts'
import { checkEchRejection, checkEchSession, checkMessages } from './ech-flags.ts'
import { checkSession, checkTicket, UnmetExpectation } from './expectations.ts'
import type { Settings } from './flags.ts'
import type { Memory } from './memory.ts'

/** What the suite's own shim reads at a time: each part is sent back as a write of its own. */
const DEFAULT_READ_BYTES = 512

/** One connection of a test. */
export interface ExchangePlan {
  readonly settings: Settings
  /** What holds instead once the server has declined our early data. */
  readonly retry: Settings
  readonly isResumption: boolean
  readonly memory: Memory
}

/** Dials the suite and holds one conversation. Rejects with whatever makes the test fail on our side. */
export async function exchange(plan: ExchangePlan): Promise<void> {
  const socket = await dial(plan.settings)
  try {
    await new Exchange(plan, socket).finished
  } finally {
    // Half-close and drain: closing at once would reset the connection before the suite has read our alert.
    socket.removeAllListeners('data')
    await drain(socket)
  }
}

async function dial({ port, ipv6, shimId }: Settings): Promise<net.Socket> {
  const socket = net.connect({ port: port!, host: ipv6 ? '::1' : '127.0.0.1', noDelay: true })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.once('connect', resolve).once('error', reject)
  await promise
  const id = Buffer.alloc(8)
  id.writeBigUInt64LE(BigInt(shimId ?? 0))
  socket.write(id)
  return socket
}

function drain(socket: net.Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (socket.readableEnded || socket.destroyed) resolve()
  socket.once('close', () => resolve()).once('end', () => resolve())
  socket.on('error', () => resolve())
  socket.resume()
  socket.end()
  return promise
}

class Exchange {
  readonly finished: Promise<void>
  readonly #settle: PromiseWithResolvers<void>
  readonly #plan: ExchangePlan
  readonly #connection: TlsConnection
  readonly #events: TraceEvent[] = []
  readonly #secrets = new Map<string, Uint8Array>()
  #settings: Settings
  #wroteFirst = false
  #wroteEarly = false
  #unsent: Uint8Array[] = []
  #hasBegun = false
  #isWaiting = false
  #isOver = false

  constructor(plan: ExchangePlan, socket: net.Socket) {
    const { settings, memory } = plan
    this.#settle = Promise.withResolvers<void>()
    this.finished = this.#settle.promise
    this.#plan = plan
    this.#settings = settings
    this.#connection = connect(
      settings,
      {
        memory,
        current: () => this.#verification,
        trace: (event) => this.#events.push(event),
        keyLog: (line) => this.#keep(line),
      },
      {
        output: (ciphertext) => socket.write(Buffer.from(ciphertext)),
        established: (session) => this.#guard(() => this.#converse(session)),
        data: (plaintext) => this.#guard(() => this.#echo(plaintext)),
        earlyData: (plaintext) => this.#guard(() => this.#echo(plaintext)),
        peerClosed: () => this.#guard(() => this.#finish()),
        waiting: (isWaiting) => this.#guard(() => this.#goOn(isWaiting)),
        failed: (error) => this.#fail(error),
      },
    )
    socket.on('data', (bytes: Buffer) => this.#guard(() => this.#receive(bytes)))
    socket.on('end', () => this.#connection.receiveEnd())
    socket.on('error', () => this.#connection.receiveEnd())
    this.#guard(() => this.#start())
  }

  #guard(act: () => void): void {
    try {
      act()
    } catch (thrown) {
      this.#settle.reject(thrown)
    }
  }

  #start(): void {
    this.#connection.start()
    this.#goOn(this.#isWaiting)
  }

  /** Does what is due once the ClientHello is out, and what waits for a message. */
  #goOn(isWaiting: boolean): void {
    this.#isWaiting = isWaiting
    if (isWaiting) return
    const { enableEarlyData, earlyWriteAfterMessage } = this.#settings
    if (!this.#hasBegun) {
      this.#hasBegun = true
      if (enableEarlyData) this.#converseEarly()
    }
    if (earlyWriteAfterMessage !== undefined && !this.#wroteEarly && this.#has(earlyWriteAfterMessage))
      this.#writeFirst()
  }

  #converseEarly(): void {
    const { shimWritesFirst, readWithUnfinishedWrite, exportKeyingMaterial, server } = this.#settings
    if (shimWritesFirst || readWithUnfinishedWrite) this.#writeFirst()
    // While early data flows, the suite's own shim exports too soon.
    if (!server && exportKeyingMaterial !== undefined && this.#wroteEarly)
      this.#connection.send(this.#export(exportKeyingMaterial))
  }

  /** Whether a message of the type has come. */
  #has(type: number): boolean {
    return this.#events.some(
      (event) =>
        event.kind === 'message' && event.direction === 'received' && HandshakeType[event.type] === type,
    )
  }

  #keep(line: string): void {
    const [label, , secret] = line.split(' ')
    this.#secrets.set(label!, Uint8Array.fromHex(secret!))
  }

  #export(length: number): Uint8Array {
    const { exportLabel = '', exportContext = '' } = this.#settings
    return this.#connection.exportKeyingMaterial(exportLabel, Buffer.from(exportContext, 'latin1'), length)
  }

  /** The secrets that we read and write under, behind their length. */
  #trafficSecrets(): Uint8Array {
    const read = this.#secrets.get('SERVER_TRAFFIC_SECRET_0')!
    const write = this.#secrets.get('CLIENT_TRAFFIC_SECRET_0')!
    const length = Buffer.alloc(2)
    length.writeUInt16LE(read.length)
    return Buffer.concat([length, read, write])
  }

  /** A full handshake after early data means that it was declined. */
  get #verification(): Settings {
    return this.#wroteFirst ? this.#plan.retry : this.#settings
  }

  #receive(bytes: Uint8Array): void {
    const step = this.#settings.async ? 1 : bytes.length
    for (let i = 0; i < bytes.length; i += step) {
      this.#connection.receive(bytes.subarray(i, i + step))
      this.#goOn(this.#isWaiting)
    }
  }

  #converse(session: Session): void {
    if (this.#wroteFirst && session.earlyData !== 'accepted') this.#beginAgain()
    if (this.#isOver) return
    const settings = this.#settings
    checkEchSession(settings, session)
    checkSession(settings, session, { isResumption: this.#plan.isResumption, events: this.#events })
    if (settings.exportKeyingMaterial !== undefined)
      this.#connection.send(this.#export(settings.exportKeyingMaterial))
    if (settings.exportTrafficSecrets) this.#connection.send(this.#trafficSecrets())
    if (settings.sendAlert) {
      const error = new TlsError('TLS_INTERNAL', 'The test wants an alert sent', {
        alert: 'decompression_failure',
      })
      return this.#connection.fail(error)
    }
    for (const text of this.#unsent) this.#connection.send(text)
    // The engine does not wait for the wire: to it, a write that is not finished is a write.
    const writesFirst = settings.shimWritesFirst || settings.readWithUnfinishedWrite
    if (writesFirst && !this.#wroteFirst && this.#unsent.length === 0) this.#writeFirst()
    if (settings.shimShutsDown) {
      if (settings.checkCloseNotify) this.#connection.close()
      else this.#finish()
      return
    }
    this.#updateKeys(settings.keyUpdateBeforeRead)
  }

  /** The server took nothing of what we sent early: the suite counts this as a connection of its own. */
  #beginAgain(): void {
    if (!this.#settings.expectRejectEarlyData) throw new UnmetExpectation('early data was declined')
    this.#settings = this.#plan.retry
    this.#wroteFirst = false
    this.#unsent = []
    // BoringSSL verifies once more before it goes on without early data.
    const refusal = this.#settings.reverifyOnResume ? refusalOf(this.#settings) : undefined
    if (refusal !== undefined) this.#connection.fail(refusal)
  }

  #writeFirst(): void {
    const text = Buffer.from(this.#settings.shimInitialWrite ?? 'hello', 'latin1')
    const times = this.#settings.repeatShimInitialWrite ?? 1
    for (let i = 0; i < times; i++) this.#send(text)
    this.#wroteFirst = this.#wroteEarly || this.#connection.session !== undefined
  }

  /** Sends as early as it can be, and the rest once it can be. */
  #send(plaintext: Uint8Array): void {
    if (this.#connection.session !== undefined) return this.#connection.send(plaintext)
    const sent = this.#connection.sendEarly(plaintext)
    if (sent > 0) this.#wroteEarly = true
    if (sent < plaintext.length) this.#unsent.push(plaintext.slice(sent))
  }

  #echo(plaintext: Uint8Array): void {
    if (this.#settings.shimShutsDown)
      throw new TlsError('TLS_UNEXPECTED_MESSAGE', 'Application data came while we shut down')
    const reply = plaintext.map((byte) => byte ^ 0xff)
    const readBytes = this.#settings.readSize ?? DEFAULT_READ_BYTES
    for (let offset = 0; offset < reply.length; offset += readBytes) {
      this.#updateKeys(this.#settings.keyUpdate)
      this.#send(reply.subarray(offset, offset + readBytes))
      this.#updateKeys(this.#settings.keyUpdateBeforeRead)
    }
  }

  #updateKeys(wanted: boolean): void {
    if (wanted) this.#connection.updateKeys({ requestPeer: false })
  }

  #finish(): void {
    this.#connection.close()
    checkMessages(this.#settings, this.#events)
    if (!this.#settings.server) checkTicket(this.#settings, this.#plan.memory.received)
    this.#settle.resolve()
  }

  #fail(error: TlsError): void {
    this.#isOver = true
    this.#guard(() => checkEchRejection(this.#verification, error))
    // Only tests of closing care how the transport ends.
    if (error.code === 'TLS_TRUNCATED' && !this.#settings.checkCloseNotify) this.#guard(() => this.#finish())
    else this.#settle.reject(error)
  }
}
