import { get, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { messageOf } from '../../errors.ts'
import { DemoError } from '../errors.ts'
import { pause } from './wait.ts'

/** What came of requests of one kind. */
export interface Tally {
  requests: number
  readonly failures: string[]
}

/** Between two requests of one kind: steady traffic that leaves a small machine room for the rest. */
const PAUSE_MS = 50

/** Asks again and again until `signal` aborts; a failure is noted and the asking goes on. */
export async function keepAsking(ask: () => Promise<void>, tally: Tally, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    tally.requests++
    try {
      await ask()
    } catch (error) {
      tally.failures.push(messageOf(error))
    }
    await pause(PAUSE_MS, signal).catch(() => {})
  }
}

/** One response that is read for as long as it goes on; each of its lines is a number, counting from 1. */
export class Feed implements Disposable {
  /** Resolves when it is over, with what was wrong with it: a line missing, an end that is none. */
  readonly ended: Promise<string | undefined>
  readonly #incoming: IncomingMessage
  #lines = 0
  #fault: string | undefined

  private constructor(incoming: IncomingMessage) {
    this.#incoming = incoming
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    this.ended = promise
    // It passes errors of its input on.
    createInterface({ input: incoming })
      .on('line', (text) => this.#read(text))
      .on('error', (error) => (this.#fault ??= messageOf(error)))
    incoming.on('error', () => {})
    incoming.on('close', () => {
      if (!incoming.complete) this.#fault ??= `it broke off after line ${this.#lines}`
      resolve(this.#fault)
    })
  }

  /** @throws DemoError DEMO_UNEXPECTED when the answer is not 200, and what the network says */
  static async open(url: string, signal: AbortSignal): Promise<Feed> {
    const outgoing = get(url, { agent: false, signal })
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    if (incoming.statusCode === 200) return new Feed(incoming)
    incoming.resume()
    throw new DemoError('DEMO_UNEXPECTED', `GET ${url}: expected 200, got ${incoming.statusCode}`)
  }

  /** How many have come. */
  get lines(): number {
    return this.#lines
  }

  /** Leaves, if it still goes on. */
  [Symbol.dispose](): void {
    this.#incoming.destroy()
  }

  #read(text: string): void {
    this.#lines++
    if (text !== String(this.#lines)) this.#fault ??= `line ${this.#lines} read ${JSON.stringify(text)}`
  }
}
