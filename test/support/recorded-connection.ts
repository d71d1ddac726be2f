import { setTimeout as delay } from 'node:timers/promises'
import type { HandfastError } from '../../src/errors.ts'
import type { Connection } from '../../src/net/transport.ts'

/** Collects what a connection reports, with promises for a test to await. */
export class RecordedConnection {
  readonly connection: Connection
  readonly ended: Promise<void>
  /** Resolves with the error, or undefined for a clean end. */
  readonly closed: Promise<HandfastError | undefined>
  readonly events: string[] = []
  bytes = 0
  readonly #chunks: Uint8Array[] = []
  readonly #keep: boolean
  #drained: (() => void) | undefined
  #grown: (() => void) | undefined

  /** @param options.keep whether `text` is wanted. @default true */
  constructor(connection: Connection, { keep = true }: { readonly keep?: boolean } = {}) {
    this.connection = connection
    this.#keep = keep
    const ended = Promise.withResolvers<void>()
    const closed = Promise.withResolvers<HandfastError | undefined>()
    this.ended = ended.promise
    this.closed = closed.promise
    connection.attach({
      data: (bytes) => {
        this.events.push('data')
        this.bytes += bytes.length
        if (this.#keep) this.#chunks.push(bytes.slice())
        this.#grown?.()
      },
      end: () => {
        this.events.push('end')
        ended.resolve()
      },
      drain: () => {
        this.events.push('drain')
        this.#drained?.()
      },
      closed: (error) => {
        this.events.push('closed')
        closed.resolve(error)
      },
    })
  }

  /** Everything that came so far, as text. */
  get text(): string {
    return Buffer.concat(this.#chunks).toString()
  }

  /** Resolves when at least this many bytes have come. */
  async received(bytes: number): Promise<void> {
    while (this.bytes < bytes) await new Promise<void>((resolve) => (this.#grown = resolve))
  }

  /** Resolves at the next drain. */
  drained(): Promise<void> {
    return new Promise((resolve) => (this.#drained = resolve))
  }
}

/** What {@link fill} has done. */
export interface Filled {
  readonly bytes: number
  /** Resolves when there is room again. */
  readonly drained: Promise<void>
}

/** Writes until nothing more finds room: not here and not, after a moment, in the kernel. */
export async function fill(recorded: RecordedConnection): Promise<Filled> {
  const block = new Uint8Array(256 * 1024)
  let bytes = 0
  for (;;) {
    bytes += block.length
    if (bytes > 64 * 1024 * 1024) throw new Error('The sender was never told to stop')
    const room = recorded.drained()
    if (recorded.connection.write(block)) continue
    const found = await Promise.race([room.then(() => true), delay(50, false)])
    if (!found) return { bytes, drained: room }
  }
}
