import type { FromThread, LineStream, ThreadPort, ToThread } from './messages.ts'

/** A batch goes when it has so many characters, or after {@link FLUSH_MS}: messages between threads cost more than bytes. */
const BATCH_CHARACTERS = 32 * 1024

/** How long a line may wait for others; nobody reads logs faster. */
const FLUSH_MS = 20

/** Batches that the main thread has not written yet; with that many it is stuck, and is not to be sent more. */
const MAX_UNTAKEN = 8

/** What waits meanwhile; what comes beyond is counted and lost, because traffic does not wait for logs. */
const MAX_WAITING_CHARACTERS = 256 * 1024

export interface LineSenderOptions {
  readonly stream: LineStream
  /** Told of every line that is lost. */
  readonly onLost: () => void
  /** The line that stands in the place of lost ones. @default none does */
  readonly lossLine?: (count: number) => string
}

/** Sends a thread's lines of one stream to the main thread, in batches, never more than it can take. */
export class LineSender {
  readonly #port: ThreadPort<FromThread, ToThread>
  readonly #options: LineSenderOptions
  #waiting = ''
  #untaken = 0
  #lost = 0
  #timer: NodeJS.Timeout | undefined

  constructor(port: ThreadPort<FromThread, ToThread>, options: LineSenderOptions) {
    this.#port = port
    this.#options = options
  }

  /** @param line with its line feed */
  write(line: string): void {
    if (this.#waiting.length + line.length > MAX_WAITING_CHARACTERS) {
      this.#lost++
      this.#options.onLost()
      return
    }
    this.#waiting += this.#lossLine() + line
    if (this.#waiting.length >= BATCH_CHARACTERS) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), FLUSH_MS).unref()
  }

  /** The main thread has written a batch. */
  taken(): void {
    this.#untaken--
    // Without a timer, what waits was held back.
    if (this.#timer === undefined) this.#send()
  }

  /** Sends what waits, even to a main thread that is stuck: there will be nothing more, or something is to come behind it. */
  flush(): void {
    this.#send(Infinity)
  }

  #lossLine(): string {
    if (this.#lost === 0) return ''
    const line = this.#options.lossLine?.(this.#lost) ?? ''
    this.#lost = 0
    return line
  }

  #send(maxUntaken = MAX_UNTAKEN): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting === '' || this.#untaken >= maxUntaken) return
    const text = this.#waiting
    this.#waiting = ''
    this.#untaken++
    this.#port.postMessage({ kind: 'lines', stream: this.#options.stream, text })
  }
}
