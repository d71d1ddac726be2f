import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { BenchGroup } from './handshaker.ts'
import type { Rate } from './interleaved.ts'

/** So many handshakes, one after the other. */
export interface RoundOrder {
  readonly resumed: boolean
  readonly count: number
}

/** Where both ends of a connection meet. */
export type Meeting = 'memory' | 'epoll' | 'node'

/** Client and server of one implementation, in a process of their own. */
export class HandshakeSide implements AsyncDisposable {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  /** Starts the process, and waits until it is ready. */
  static async start(
    implementation: 'engine' | 'node:tls',
    where: Meeting,
    group: BenchGroup,
  ): Promise<HandshakeSide> {
    const program = join(import.meta.dirname, 'handshake-process.ts')
    const side = new HandshakeSide(fork(program, [implementation, where, group]))
    await side.#answer()
    return side
  }

  /** What one round came to. */
  async round(order: RoundOrder): Promise<Rate> {
    this.#child.send(order)
    return (await this.#answer()) as Rate
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.disconnect()
    await once(this.#child, 'exit')
  }

  /** @throws Error when the process ends instead */
  async #answer(): Promise<unknown> {
    const ended = new AbortController()
    const [answer] = (await Promise.race([
      once(this.#child, 'message', { signal: ended.signal }),
      once(this.#child, 'exit', { signal: ended.signal }).then(([status]) => {
        throw new Error(`The process that makes handshakes ended with status ${status}`)
      }),
    ]).finally(() => ended.abort())) as [unknown]
    return answer
  }
}
