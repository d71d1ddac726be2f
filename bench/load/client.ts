import { chooseTransport } from '../../src/net/choose-transport.ts'
import type { Connection } from '../../src/net/transport.ts'

const transport = chooseTransport('auto', { onFallback: () => {} })

const CONNECT_TIMEOUT_MS = 10_000

const HEAD_END = '\r\n\r\n'

/** What {@link Client.ask} came to. */
export interface Answer {
  /** Of the body. */
  readonly bytes: number
}

interface Question {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  /** Whether the rest of an answer may be left when its time is up. */
  readonly isOver: () => boolean
}

/**
 * One connection that asks over HTTP/1.1, one question at a time, as cheaply as can be: what the load takes of the processor is taken
 * from the proxies that are measured.
 */
export class Client {
  readonly #connection: Connection
  #question: Question | undefined
  #head = ''
  /** Of the body; undefined before the head is whole. */
  #left: number | undefined
  #bytes = 0
  #isClosed = false

  private constructor(connection: Connection) {
    this.#connection = connection
    connection.attach({
      data: (chunk) => this.#data(chunk),
      end: () => connection.end(),
      drain() {},
      closed: () => {
        this.#isClosed = true
        this.#fail('The connection closed before the answer was whole')
      },
    })
  }

  static async open(port: number): Promise<Client> {
    const address = { host: '127.0.0.1', port }
    return new Client(await transport.connect(address, { timeoutMs: CONNECT_TIMEOUT_MS }))
  }

  /** Sends one request and takes its whole answer; only the length of what comes is looked at after the head. */
  ask(request: Uint8Array, isOver: () => boolean = () => false): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#question = { resolve, reject, isOver }
      if (this.#isClosed) this.#fail('The connection was closed')
      else this.#connection.write(request, 'given')
    })
  }

  /** Ends the connection in order. */
  close(): void {
    if (!this.#isClosed) this.#connection.end()
  }

  /** Gives the connection up. */
  abort(): void {
    if (!this.#isClosed) this.#connection.abort()
  }

  #data(chunk: Uint8Array): void {
    let bodyBytes = chunk.length
    if (this.#left === undefined) {
      this.#head += Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1')
      const end = this.#head.indexOf(HEAD_END)
      if (end < 0) return
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1]
      if (!this.#head.startsWith('200', 9) || length === undefined) {
        this.#fail(`Unexpected answer: ${this.#head.slice(0, end)}`)
        return
      }
      this.#left = Number(length)
      bodyBytes = this.#head.length - end - HEAD_END.length
    }
    this.#left -= bodyBytes
    this.#bytes += bodyBytes
    if (this.#left > 0 && this.#question?.isOver() !== true) return
    const question = this.#question
    const answer = { bytes: this.#bytes }
    this.#question = undefined
    this.#head = ''
    this.#left = undefined
    this.#bytes = 0
    question?.resolve(answer)
  }

  #fail(message: string): void {
    this.#question?.reject(new Error(message))
    this.#question = undefined
  }
}
