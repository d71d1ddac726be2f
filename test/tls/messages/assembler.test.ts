import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, toHex } from '../../../src/bytes/bytes.ts'
import {
  encodeMessage,
  DEFAULT_MAX_MESSAGE_BYTES,
  MessageAssembler,
} from '../../../src/tls/messages/handshake-message.ts'
import { HandshakeType } from '../../../src/tls/registry.ts'

function message(length: number, fill = 7): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    encodeMessage(HandshakeType.certificate, (body) => body.bytes(new Uint8Array(length).fill(fill))),
  )
}

function takeAll(assembler: MessageAssembler): string[] {
  const taken: string[] = []
  for (let next = assembler.take(); next !== undefined; next = assembler.take()) taken.push(toHex(next.bytes))
  return taken
}

test('MessageAssembler gives the same messages however the stream is cut', () => {
  const messages = [message(0), message(1, 1), message(40, 2), message(3, 3)]
  const stream = concat(...messages)
  const expected = messages.map(toHex)
  for (let at = 0; at <= stream.length; at++) {
    const assembler = new MessageAssembler()
    assembler.push(stream.slice(0, at))
    const first = takeAll(assembler)
    assembler.push(stream.slice(at))
    assert.deepEqual([...first, ...takeAll(assembler)], expected)
    assert.ok(assembler.isEmpty)
  }
})

test('MessageAssembler keeps what it was given when the giver reuses its memory', () => {
  const assembler = new MessageAssembler()
  const fragment = message(8)
  const expected = toHex(fragment)
  assembler.push(fragment)
  fragment.fill(0)
  assert.equal(toHex(assembler.take()!.bytes), expected)
})

test('MessageAssembler leaves a taken message alone when more comes', () => {
  const assembler = new MessageAssembler()
  assembler.push(message(8, 1))
  const taken = assembler.take()!
  for (let i = 0; i < 20; i++) {
    assembler.push(message(300, 2))
    assembler.take()
  }
  assert.equal(toHex(taken.bytes), toHex(message(8, 1)))
})

test('MessageAssembler takes the longest message, and refuses a longer one by its header alone', () => {
  const assembler = new MessageAssembler()
  assembler.push(message(DEFAULT_MAX_MESSAGE_BYTES))
  assert.equal(assembler.take()!.body.length, DEFAULT_MAX_MESSAGE_BYTES)
  for (const length of [DEFAULT_MAX_MESSAGE_BYTES + 1, 2 ** 24 - 1]) {
    const other = new MessageAssembler()
    other.push(Uint8Array.of(11, length >>> 16, length >>> 8, length))
    assert.throws(() => other.take(), {
      code: 'TLS_MESSAGE_TOO_LONG',
      message: new RegExp(`certificate announces ${length} bytes`),
    })
  }
})

test('MessageAssembler works in proportion to the bytes, not to their square, when they come one by one', () => {
  const feed = (length: number): number => {
    const assembler = new MessageAssembler()
    const stream = message(length)
    const begin = performance.now()
    for (let i = 0; i < stream.length; i++) assembler.push(stream.subarray(i, i + 1))
    assert.equal(assembler.take()!.body.length, length)
    return performance.now() - begin
  }
  feed(8_000)
  const [small, large] = [feed(8_000), feed(64_000)]
  // Eight times the bytes; the square would be 64 times the work.
  assert.ok(
    large < 20 * Math.max(small, 2),
    `${small.toFixed(1)} ms for 8 KB, ${large.toFixed(1)} ms for 64 KB`,
  )
})
