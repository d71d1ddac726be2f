import type { FromThread, ThreadPort, ToThread } from './messages.ts'
import type { CounterRow } from './counters.ts'

/** A batch goes when it has so many characters, or after {@link FLUSH_MS}: messages between threads cost more than bytes. */
const BATCH_CHARACTERS = 32 * 1024

/** How long a line may wait for others; nobody reads logs faster. */
const FLUSH_MS = 20

/** Batches that the main thread has not written yet; with that many it is stuck, and is not to be sent more. */
const MAX_UNTAKEN = 8

/** What waits meanwhile; what comes beyond is counted and lost, because traffic does not wait for logs. */
const MAX_WAITING_CHARACTERS = 256 * 1024

/** Sends a thread's log lines to the main thread, in batches, never more than it can take. */
export class LineSender {
  readonly #port: ThreadPort<FromThread, ToThread>
  readonly #counters: CounterRow
  #waiting = ''
  #untaken = 0
  #timer: NodeJS.Timeout | undefined

  constructor(port: ThreadPort<FromThread, ToThread>, counters: CounterRow) {
    this.#port = port
    this.#counters = counters
  }

  /** @param line with its line feed */
  write(line: string): void {
    if (this.#waiting.length + line.length > MAX_WAITING_CHARACTERS) {
      this.#counters.add('lostLines')
      return
    }
    this.#waiting += line
    if (this.#waiting.length >= BATCH_CHARACTERS) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), FLUSH_MS).unref()
  }

  /** The main thread has written a batch. */
  taken(): void {
    this.#untaken--
    // Without a timer, what waits was held back.
    if (this.#timer === undefined) this.#send()
  }

  /** Sends what waits, even to a main thread that is stuck: there will be nothing more. */
  flush(): void {
    this.#send(Infinity)
  }

  #send(maxUntaken = MAX_UNTAKEN): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting === '' || this.#untaken >= maxUntaken) return
    const text = this.#waiting
    this.#waiting = ''
    this.#untaken++
    this.#port.postMessage({ kind: 'lines', text })
  }
}
