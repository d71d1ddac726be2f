import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { concat, utf8 } from '../../src/bytes/bytes.ts'
import {
  addEntry,
  EMPTY_JOURNAL,
  encodeHead,
  encodeLeaf,
  type JournalState,
} from '../../src/ca/journal-line.ts'
import {
  type DamagedJournal,
  type IntactJournal,
  JOURNAL_START,
  type JournalPosition,
  JournalReader,
} from '../../src/ca/journal-reader.ts'
import { rootOf } from '../../src/ca/merkle-tree.ts'
import { signTreeHead } from '../../src/ca/tree-head.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'

const crypto = nativeCrypto()
const key = crypto.generateKey('ec-p256')

/** Entries in groups of these sizes, each group under a head. */
function journalOf(groups: readonly number[]): Uint8Array {
  let state: JournalState = EMPTY_JOURNAL
  const lines: string[] = []
  for (const [group, size] of groups.entries()) {
    for (let i = 0; i < size; i++) {
      const leaf = encodeLeaf(state.frontier.size, entryOf(state.frontier.size))
      const added = addEntry(state, leaf, crypto)
      lines.push(added.line)
      state = added.state
    }
    const { frontier } = state
    const head = { size: frontier.size, root: rootOf(frontier, crypto), timeMs: 1_700_000_000_000 + group }
    lines.push(encodeHead(signTreeHead(head, key)))
  }
  return utf8(`${lines.join('\n')}\n`)
}

function entryOf(index: number) {
  return {
    kind: index % 5 === 0 ? 'refused' : 'issued',
    time: new Date(1_700_000_000_000 + index).toISOString(),
    spiffeId: `spiffe://example.org/ns/shop/sa/${'abcdefgh'[index % 8]}`,
    reason: index % 5 === 0 ? `Zürich "${index}" \\ ☂` : undefined,
    serialNumber: (index * 7919).toString(16),
  }
}

function read(
  bytes: Uint8Array,
  from: JournalPosition = JOURNAL_START,
  pieceBytes = bytes.length,
): { readonly end: DamagedJournal | IntactJournal; readonly positions: readonly JournalPosition[] } {
  const reader = new JournalReader({ crypto, key: key.publicKey, from })
  const positions: JournalPosition[] = []
  let { offset } = from
  for (let begin = 0; begin < bytes.length; begin += pieceBytes)
    for (const step of reader.push(bytes.subarray(begin, begin + pieceBytes))) {
      if (step.kind === 'damaged') return { end: step, positions }
      positions.push({ state: step.state, offset: (offset += step.bytes + 1) })
    }
  return { end: reader.end(), positions }
}

test('JournalReader reads a journal the same in pieces of any size', () => {
  const bytes = journalOf([1, 4, 2])
  const whole = read(bytes)
  assert.ok(whole.end.kind === 'intact')
  assert.equal(whole.end.signed.offset, bytes.length)
  assert.equal(whole.end.tailBytes, 0)
  for (const pieceBytes of [1, 7, 64, 500])
    assert.deepEqual(read(bytes, JOURNAL_START, pieceBytes).end, whole.end)
})

test('JournalReader finds one flipped bit anywhere in a journal of some hundred entries, at the line it is in', () => {
  const bytes = journalOf([1, 3, 8, 1, 40, 100, 2, 60, 30, 5, 1, 49])
  const { end, positions } = read(bytes)
  assert.ok(end.kind === 'intact' && end.signed.state.frontier.size === 300)
  const lines = [JOURNAL_START, ...positions]
  let flips = 0
  for (const [number, line] of lines.slice(0, -1).entries()) {
    const next = lines[number + 1]!.offset
    for (let at = line.offset; at < next; at++) {
      // Every bit where lines end and in the last of them, which may be taken for torn; elsewhere one or another.
      const bits = at === next - 1 || number >= lines.length - 3 ? [0, 1, 2, 3, 4, 5, 6, 7] : [(at * 5) % 8]
      for (const bit of bits) {
        // What comes before the line was read already; what comes after the next two no longer matters.
        const until = lines[Math.min(number + 3, lines.length - 1)]!.offset
        const flipped = bytes.slice(line.offset, until)
        flipped[at - line.offset]! ^= 1 << bit
        const { end: found } = read(flipped, line)
        assert.ok(found.kind === 'damaged', `bit ${bit} of byte ${at}: ${JSON.stringify(found)}`)
        assert.equal(found.damage.index, line.state.frontier.size)
        assert.equal(found.offset, line.offset)
        flips++
      }
    }
  }
  assert.ok(flips > bytes.length)
})

test('JournalReader finds a flipped bit when it reads the whole journal, too', () => {
  const bytes = journalOf([1, 7, 20, 2])
  fc.assert(
    fc.property(fc.nat(bytes.length * 8 - 1), fc.integer({ min: 1, max: 4_000 }), (bit, pieceBytes) => {
      const flipped = bytes.slice()
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(read(flipped, JOURNAL_START, pieceBytes).end.kind, 'damaged')
    }),
    { numRuns: 200 },
  )
})

test('JournalReader finds lines that were removed, repeated, swapped or made anew', () => {
  const lines = new TextDecoder()
    .decode(journalOf([1, 6, 5]))
    .split('\n')
    .slice(0, -1)
  const damaged = (changed: readonly string[], what: string): void =>
    assert.equal(read(utf8(changed.map((line) => `${line}\n`).join(''))).end.kind, 'damaged', what)
  for (const [place, line] of lines.entries()) {
    // Without its last head a journal ends at the one before. Nothing tells but a head that was kept elsewhere.
    const isHead = line.startsWith('{"head"')
    if (!isHead) damaged(lines.toSpliced(place, 1), `line ${place} removed`)
    damaged(lines.toSpliced(place, 0, line), `line ${place} repeated`)
    if (place > 0) damaged(lines.toSpliced(place - 1, 2, line, lines[place - 1]!), `line ${place} moved up`)
    damaged(lines.toSpliced(place, 0, ''), `an empty line before line ${place}`)
    damaged(
      lines.with(
        place,
        line.replace(/[a-f]/, (digit) => digit.toUpperCase()),
      ),
      `line ${place} in capitals`,
    )
    damaged(lines.with(place, `${line} `), `a space after line ${place}`)
  }
  // Somebody without the key chains an entry of his own correctly.
  const position = read(
    utf8(
      lines
        .slice(0, 5)
        .map((line) => `${line}\n`)
        .join(''),
    ),
  ).positions.at(-1)!
  const forged = addEntry(position.state, encodeLeaf(position.state.frontier.size, entryOf(77)), crypto)
  const { end } = read(
    utf8([...lines.slice(0, 5), forged.line, ...lines.slice(6)].map((l) => `${l}\n`).join('')),
  )
  assert.ok(end.kind === 'damaged')
})

test('JournalReader refuses heads that another key has signed', () => {
  const bytes = journalOf([2])
  const reader = new JournalReader({ crypto, key: crypto.generateKey('ec-p256').publicKey })
  const steps = [...reader.push(bytes)]
  const last = steps.at(-1)
  assert.ok(last?.kind === 'damaged')
  assert.deepEqual(last.damage, { index: 2, part: 'head', problem: "is not signed by the journal's key" })
})

test('JournalReader takes what a crash left of an append for a tail, and only that', () => {
  const signed = journalOf([2, 3])
  const longer = journalOf([2, 3, 4])
  // The signatures of both differ; what counts is what comes after the first.
  const { positions } = read(longer)
  const end = positions.find(({ state }) => state.head?.size === 5)
  for (let length = end!.offset; length < longer.length; length++) {
    const { end: found } = read(longer.subarray(0, length))
    assert.ok(found.kind === 'intact', `${length} bytes`)
    assert.equal(found.signed.offset, end!.offset)
    assert.equal(found.tailBytes, length - end!.offset)
  }
  const { end: garbage } = read(concat(signed, utf8('garbage\n')))
  assert.equal(garbage.kind, 'damaged', 'a whole line of something else')
})

test('JournalReader gives up on a line that does not end', () => {
  const reader = new JournalReader({ crypto, key: key.publicKey })
  const piece = new Uint8Array(64 * 1024).fill(0x61)
  const steps = Array.from({ length: 5 }, () => [...reader.push(piece)]).flat()
  assert.equal(steps[0]?.kind, 'damaged')
})

test('JournalReader finds every single bit that is flipped in a small journal, when it reads the whole', () => {
  const bytes = journalOf([1, 2, 1])
  assert.equal(read(bytes).end.kind, 'intact')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    assert.equal(read(flipped).end.kind, 'damaged', `bit ${bit & 7} of byte ${bit >> 3}`)
  }
})
