import { passingBytes } from '../../bytes/bytes.ts'
import { Writer } from '../../bytes/writer.ts'
import { TlsError } from '../errors.ts'
import { HandshakeType, nameOf } from '../registry.ts'

/** Type and length (RFC 8446 §4). */
const HEADER_BYTES = 4

const NOTHING = new Uint8Array(0)

/**
 * The longest message accepted, unless the options say otherwise. The protocol allows 2^24 - 1; chains of ten certificates fit in 64 KiB many
 * times over, and nobody may make us hold more before they are verified.
 */
export const DEFAULT_MAX_MESSAGE_BYTES: number = 2 ** 16

/** A whole handshake message. */
export interface HandshakeMessage {
  readonly type: number
  readonly body: Uint8Array
  /** With its header, as it enters the transcript. */
  readonly bytes: Uint8Array
}

/** Puts the header before a body. */
export function encodeMessage(type: HandshakeType, write: (body: Writer) => void): Uint8Array {
  return new Writer().uint8(type).vector24(write).finish()
}

/** Splits what {@link encodeMessage} joined. */
export function asMessage(bytes: Uint8Array): HandshakeMessage {
  return { type: bytes[0]!, body: bytes.subarray(HEADER_BYTES), bytes }
}

/** Joins the fragments that records carry into messages. */
export class MessageAssembler {
  #buffer: Uint8Array<ArrayBuffer> = NOTHING
  readonly #maxMessageBytes: number
  #start = 0
  #end = 0

  constructor(maxMessageBytes: number = DEFAULT_MAX_MESSAGE_BYTES) {
    this.#maxMessageBytes = maxMessageBytes
  }

  /** Whether nothing is held: neither a part of a message nor a whole one that was not taken. */
  get isEmpty(): boolean {
    return this.#start === this.#end
  }

  /** Adds a fragment; it is copied. */
  push(fragment: Uint8Array): void {
    if (this.#buffer.length - this.#end < fragment.length) this.#makeRoom(fragment.length)
    this.#buffer.set(fragment, this.#end)
    this.#end += fragment.length
  }

  /** The next whole message, if there is one. @throws TlsError TLS_MESSAGE_TOO_LONG */
  take(): HandshakeMessage | undefined {
    const pendingBytes = this.#end - this.#start
    if (pendingBytes < HEADER_BYTES) return undefined
    const [buffer, start] = [this.#buffer, this.#start]
    const length = (buffer[start + 1]! << 16) | (buffer[start + 2]! << 8) | buffer[start + 3]!
    if (length > this.#maxMessageBytes) {
      const type = nameOf(HandshakeType, buffer[start]!)
      throw new TlsError(
        'TLS_MESSAGE_TOO_LONG',
        `${type} announces ${length} bytes, at most ${this.#maxMessageBytes} are accepted`,
      )
    }
    const messageBytes = HEADER_BYTES + length
    if (pendingBytes < messageBytes) return undefined
    this.#start += messageBytes
    // A connection at rest holds no memory for messages.
    if (this.isEmpty) {
      this.#buffer = NOTHING
      this.#start = this.#end = 0
    }
    return asMessage(buffer.subarray(start, start + messageBytes))
  }

  /**
   * Moves what is pending to memory of twice its size: a peer that sends byte by byte causes work in proportion, and
   * the messages already taken keep theirs.
   */
  #makeRoom(bytes: number): void {
    const pending = this.#buffer.subarray(this.#start, this.#end)
    this.#buffer = passingBytes(2 * (pending.length + bytes))
    this.#buffer.set(pending)
    this.#start = 0
    this.#end = pending.length
  }
}
