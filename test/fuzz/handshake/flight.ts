/** Flights that are not encrypted (fuzz-crypto.ts) taken apart into records and messages, and put together again. */
import { concat } from '../../../src/bytes/bytes.ts'
import { Writer } from '../../../src/bytes/writer.ts'
import { AEAD_TAG_BYTES } from '../../../src/crypto/provider.ts'
import { MAX_PLAINTEXT_BYTES, RECORD_HEADER_BYTES } from '../../../src/tls/record/protection.ts'
import { ContentType, ProtocolVersion } from '../../../src/tls/registry.ts'

/** Neighbouring records of one content type and one protection. */
export interface Segment {
  readonly type: number
  /** What stands for the tag of protected records; undefined in plaintext. */
  readonly mark: number | undefined
  /** Of a handshake its messages, headers included; else the contents of the records. */
  readonly units: Uint8Array[]
}

/** Type and length of a handshake message (RFC 8446 §4). */
const MESSAGE_HEADER_BYTES = 4

/** The segments of a stream, or nothing when it is not made of whole records. */
export function takeApart(stream: Uint8Array): Segment[] | undefined {
  const segments: Segment[] = []
  for (let offset = 0; offset < stream.length;) {
    const contents = offset + RECORD_HEADER_BYTES
    if (contents > stream.length) return undefined
    const end = contents + ((stream[offset + 3]! << 8) | stream[offset + 4]!)
    if (end > stream.length) return undefined
    const { type, mark, content } = openRecord(stream[offset]!, stream.subarray(contents, end))
    const last = segments.at(-1)
    if (last?.type === type && last.mark === mark) last.units.push(content)
    else segments.push({ type, mark, units: [content] })
    offset = end
  }
  return segments.map(({ type, mark, units }) => ({
    type,
    mark,
    units: type === ContentType.handshake ? splitMessages(concat(...units)) : units,
  }))
}

interface OpenedRecord extends Pick<Segment, 'type' | 'mark'> {
  readonly content: Uint8Array
}

function openRecord(outer: number, fragment: Uint8Array): OpenedRecord {
  if (outer !== ContentType.application_data || fragment.length <= AEAD_TAG_BYTES)
    return { type: outer, mark: undefined, content: fragment }
  const inner = fragment.subarray(0, fragment.length - AEAD_TAG_BYTES)
  const end = inner.findLastIndex((byte) => byte !== 0)
  return { type: inner[end] ?? 0, mark: fragment.at(-1)!, content: inner.subarray(0, Math.max(0, end)) }
}

/** Whole messages; what is left over at the end stands as it is. */
function splitMessages(stream: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let offset = 0; offset < stream.length;) {
    const length =
      offset + MESSAGE_HEADER_BYTES > stream.length
        ? Infinity
        : (stream[offset + 1]! << 16) | (stream[offset + 2]! << 8) | stream[offset + 3]!
    const end = Math.min(stream.length, offset + MESSAGE_HEADER_BYTES + length)
    messages.push(stream.slice(offset, end))
    offset = end
  }
  return messages
}

/** The stream of segments; what does not fit one record, of `maxBytes` of plaintext, is given several. */
export function putTogether(
  segments: readonly Segment[],
  maxBytes: number = MAX_PLAINTEXT_BYTES,
): Uint8Array<ArrayBuffer> {
  const records = segments.flatMap(({ type, mark, units }) => {
    const wholes = type === ContentType.handshake ? [concat(...units)] : units
    const contents = wholes.flatMap((whole) => fragments(whole, maxBytes))
    return contents.map((content) => sealRecord({ type, mark, content }))
  })
  return concat(...records)
}

function fragments(content: Uint8Array, maxBytes: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(content.length / maxBytes))
  return Array.from({ length: count }, (_, i) => content.subarray(i * maxBytes, (i + 1) * maxBytes))
}

function sealRecord({ type, mark, content }: OpenedRecord): Uint8Array {
  const record = new Writer(content.length + 32)
    .uint8(mark === undefined ? type : ContentType.application_data)
    .uint16(ProtocolVersion.tls12)
  return record
    .vector16((fragment) => {
      fragment.bytes(content)
      if (mark !== undefined) fragment.uint8(type).bytes(new Uint8Array(AEAD_TAG_BYTES).fill(mark))
    })
    .finish()
}

/** A message with this type and body, its length right. */
export function messageOf(type: number, body: Uint8Array): Uint8Array {
  return new Writer(body.length + MESSAGE_HEADER_BYTES).uint8(type).bytes24(body).finish()
}

/** What stands behind the header. */
export function bodyOf(message: Uint8Array): Uint8Array {
  return message.subarray(MESSAGE_HEADER_BYTES)
}
