/**
 * Answers that are given later and yet in the course of a call, so that whatever waits for them can be driven without
 * a turn of the event loop.
 */
export class LateAnswers {
  readonly #waiting: LateAnswer<unknown>[] = []

  /** What `answer` yields or throws, once {@link giveNext} comes to it. */
  later<Value>(answer: () => Value): Promise<Value> {
    const late = new LateAnswer(answer)
    this.#waiting.push(late)
    return late
  }

  /** Gives the answer that was asked for first; false when nothing is waited for. */
  giveNext(): boolean {
    const next = this.#waiting.shift()
    next?.give()
    return next !== undefined
  }
}

/** A promise for one listener, who is called from {@link give} and not from a task of its own. */
class LateAnswer<Value> extends Promise<Value> {
  readonly #answer: () => Value
  #listener: (() => void) | undefined

  /** What `then` returns is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  constructor(answer: () => Value) {
    super(() => undefined)
    this.#answer = answer
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it stands for a promise and is one
  override then<Fulfilled = Value, Rejected = never>(
    onFulfilled?: ((value: Value) => Fulfilled | PromiseLike<Fulfilled>) | null,
    onRejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return new Promise((resolve, reject) => {
      this.#listener = () => {
        let value: Value
        try {
          value = this.#answer()
        } catch (thrown) {
          resolve(onRejected!(thrown))
          return
        }
        try {
          resolve(onFulfilled!(value))
        } catch (thrown) {
          reject(thrown)
        }
      }
    })
  }

  give(): void {
    this.#listener?.()
  }
}
