import type { Established, Handshake, HandshakeRequest } from './handshake.ts'
import type { MessageAssembler } from './messages/handshake-message.ts'

/** Runs a handshake from request to request: hands it messages as they come, and what others answer later. */
export class HandshakeDriver {
  /** Let go when it is complete: a generator keeps its last messages, and a connection lives on for long. */
  #handshake: Handshake<Established> | undefined
  readonly #assembler: MessageAssembler
  readonly #answered: (goOn: () => void) => void
  #step: IteratorResult<HandshakeRequest, Established> | undefined
  #isWaiting = false

  /** @param answered called when an answer has come that was waited for; `goOn` throws what the handshake throws */
  constructor(
    handshake: Handshake<Established>,
    assembler: MessageAssembler,
    answered: (goOn: () => void) => void,
  ) {
    this.#handshake = handshake
    this.#assembler = assembler
    this.#answered = answered
  }

  /** Whether somebody outside has been asked, and has not answered: until then nothing of the peer is taken. */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /** Whether the handshake has begun and is neither complete nor stopped. */
  get isRunning(): boolean {
    return this.#step !== undefined
  }

  /** Runs up to the first request. @throws TlsError TLS_BAD_OPTIONS */
  start(): void {
    this.#step = this.#handshake!.next()
  }

  /** Goes on as far as messages and answers are there. @returns the end of the handshake, once. @throws TlsError */
  advance(): Established | undefined {
    while (this.#step !== undefined && !this.#isWaiting) {
      if (this.#step.done === true) {
        const { value } = this.#step
        this.stop()
        return value
      }
      const request = this.#step.value
      if (request.kind === 'promise') {
        this.#await(request.promise)
        continue
      }
      const message = this.#assembler.take()
      if (message === undefined) return undefined
      this.#take(this.#handshake!.next(message))
    }
    return undefined
  }

  /** Ends it where it stands; what is still answered is not listened to. */
  stop(): void {
    this.#step = undefined
    this.#handshake = undefined
  }

  /** A message may have made somebody stop the handshake from inside it. */
  #take(step: IteratorResult<HandshakeRequest, Established>): void {
    if (this.#step !== undefined) this.#step = step
  }

  #await(promise: Promise<unknown>): void {
    this.#isWaiting = true
    promise.then(
      (value) => this.#goOn(() => this.#handshake!.next(value)),
      (reason: unknown) => this.#goOn(() => this.#handshake!.throw(reason)),
    )
  }

  #goOn(next: () => IteratorResult<HandshakeRequest, Established>): void {
    this.#isWaiting = false
    if (this.#step === undefined) return
    this.#answered(() => this.#take(next()))
  }
}
