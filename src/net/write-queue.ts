/** What slow readers make us hold is copied into memory of these sizes, so that little waits in little and much in few pieces. */
const CHUNK_BYTES = [1024, 16 * 1024, 256 * 1024] as const

/** Chunks of each size that wait for their next use, 1.3 MiB together; what is more goes back to the system. */
const MAX_SPARE = [64, 16, 4] as const

/** Given bytes below this are copied all the same: a copy is cheaper than a piece of its own. */
const MIN_KEPT_BYTES = 4096

/** Chunks that no queue uses, by the index of their size. A thread has one. */
const spare: readonly Uint8Array[][] = CHUNK_BYTES.map(() => [])

interface Piece {
  readonly bytes: Uint8Array
  /** Of the chunk's size; -1 for bytes that were given and are not ours to use again. */
  readonly size: number
  start: number
  end: number
}

/** Bytes that wait for the other side to read, in order. Empty, it holds no memory. */
export class WriteQueue {
  readonly #pieces: Piece[] = []
  #length = 0

  /** How many bytes wait. */
  get length(): number {
    return this.#length
  }

  /** @param isGiven whether `bytes` stay as they are, so that they need not be copied */
  push(bytes: Uint8Array, isGiven: boolean): void {
    this.#length += bytes.length
    if (isGiven && bytes.length >= MIN_KEPT_BYTES) {
      this.#pieces.push({ bytes, size: -1, start: 0, end: bytes.length })
      return
    }
    for (let copied = 0; copied < bytes.length;) {
      const piece = this.#withRoom(bytes.length - copied)
      const part = bytes.subarray(copied, copied + piece.bytes.length - piece.end)
      piece.bytes.set(part, piece.end)
      piece.end += part.length
      copied += part.length
    }
  }

  /** The bytes that come next; not all that wait, perhaps, but some unless the queue is empty. */
  front(): Uint8Array {
    const { bytes, start, end } = this.#pieces[0]!
    return bytes.subarray(start, end)
  }

  /** Takes the first `count` bytes away; they are part of {@link front}. */
  consume(count: number): void {
    const piece = this.#pieces[0]!
    piece.start += count
    this.#length -= count
    if (piece.start < piece.end) return
    this.#pieces.shift()
    release(piece)
  }

  clear(): void {
    for (const piece of this.#pieces) release(piece)
    this.#pieces.length = 0
    this.#length = 0
  }

  #withRoom(wanted: number): Piece {
    const last = this.#pieces.at(-1)
    if (last !== undefined && last.size >= 0 && last.end < last.bytes.length) return last
    const size = sizeFor(Math.max(wanted, Math.min(this.#length, CHUNK_BYTES[2])))
    const bytes = spare[size]!.pop() ?? new Uint8Array(CHUNK_BYTES[size]!)
    const piece = { bytes, size, start: 0, end: 0 }
    this.#pieces.push(piece)
    return piece
  }
}

function sizeFor(bytes: number): number {
  const size = CHUNK_BYTES.findIndex((chunk) => bytes <= chunk)
  return size < 0 ? CHUNK_BYTES.length - 1 : size
}

function release({ bytes, size }: Piece): void {
  if (size >= 0 && spare[size]!.length < MAX_SPARE[size]!) spare[size]!.push(bytes)
}
