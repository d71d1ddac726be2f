import type { CryptoProvider } from '../../crypto/provider.ts'
import { renderExplanation } from '../../diagnose/render.ts'
import type { HandfastError } from '../../errors.ts'
import { TlsError } from '../../tls/errors.ts'
import type { CommandIo } from '../command.ts'
import { terminalOf } from '../terminal.ts'
import { failureText } from './failure-text.ts'
import { HandshakeRecorder } from './recorder.ts'

/** A refusal of our certificate comes one round trip after we are done: so long an explanation waits for it. */
const LATE_REFUSAL_MS = 250

export type Show = 'nothing' | 'text' | 'json'

/** Shows a client's handshake once: as text soon after it, as JSON at the end; and how it failed. */
export class Reporter {
  readonly recorder: HandshakeRecorder = new HandshakeRecorder('client')
  readonly #show: Show
  readonly #io: CommandIo
  readonly #crypto: CryptoProvider
  #timer: NodeJS.Timeout | undefined
  #shown = false

  constructor(show: Show, { io, crypto }: { readonly io: CommandIo; readonly crypto: CryptoProvider }) {
    this.#show = show
    this.#io = io
    this.#crypto = crypto
  }

  /** The handshake is done for us; whoever sits at a terminal wants to see it now. */
  established(): void {
    if (this.#show === 'text') this.#timer = setTimeout(() => this.#explain(), LATE_REFUSAL_MS)
  }

  finish(): void {
    clearTimeout(this.#timer)
    const shownBefore = this.#shown
    this.#explain()
    const keyUpdates = this.recorder.keyUpdateText()
    if (shownBefore && keyUpdates !== undefined) this.#io.stderr.write(`handfast: ${keyUpdates}\n`)
  }

  fail(error: HandfastError): void {
    this.recorder.end(error)
    if (error instanceof TlsError && error.retryConfigs !== undefined)
      this.#io.stderr.write(`handfast: Try again with --ech-config ${error.retryConfigs.toBase64()}\n`)
    const shownBefore = this.#shown
    this.finish()
    const { failure } = this.recorder.explain()
    const inExplanation = this.#show !== 'nothing' && !shownBefore
    if (failure === undefined || inExplanation) return
    this.#io.stderr.write(failureText(failure, terminalOf(this.#io.stderr, this.#io.env).width))
  }

  #explain(): void {
    if (this.#shown || this.#show === 'nothing') return
    this.#shown = true
    const text =
      this.#show === 'json'
        ? this.recorder.toJsonLine(this.#crypto)
        : renderExplanation(this.recorder.explain(), terminalOf(this.#io.stderr, this.#io.env))
    this.#io.stderr.write(text)
  }
}
