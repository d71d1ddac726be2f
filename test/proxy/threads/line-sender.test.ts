import assert from 'node:assert/strict'
import test from 'node:test'
import { Counters, CounterRow } from '../../../src/proxy/threads/counters.ts'
import { LineSender } from '../../../src/proxy/threads/line-sender.ts'
import type { FromThread } from '../../../src/proxy/threads/messages.ts'

const LINE = `${'x'.repeat(1_023)}\n`

interface Sending {
  readonly lines: LineSender
  readonly sent: string[]
  readonly lost: () => number
}

function sending(): Sending {
  const counters = new Counters(1)
  const sent: string[] = []
  const port = {
    postMessage(message: FromThread) {
      assert.equal(message.kind, 'lines')
      sent.push(message.kind === 'lines' ? message.text : '')
    },
    on() {},
    unref() {},
  }
  const row = new CounterRow(counters, 0)
  const lines = new LineSender(port, { stream: 'log', onLost: () => row.add('lostLines') })
  return { lines, sent, lost: () => counters.read(0, 'lostLines') }
}

test('LineSender gathers lines for a moment and sends them as one text', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { lines, sent } = sending()
  lines.write('a\n')
  lines.write('b\n')
  assert.deepEqual(sent, [])
  t.mock.timers.tick(20)
  assert.deepEqual(sent, ['a\nb\n'])
  t.mock.timers.tick(1_000)
  assert.equal(sent.length, 1)
})

test('LineSender sends no more than the main thread can take, keeps what comes within bounds, and counts what it loses', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { lines, sent, lost } = sending()
  for (let i = 0; i < 1_000; i++) lines.write(LINE)
  // 8 batches of 32 KiB are under way and 256 KiB wait.
  assert.equal(sent.join('').length, 8 * 32 * 1_024)
  assert.equal(lost(), 1_000 - 8 * 32 - 256)
  lines.taken()
  assert.equal(sent.length, 9)
  assert.equal(sent.join('').length, 8 * 32 * 1_024 + 256 * 1_024)
  lines.write(LINE)
  t.mock.timers.tick(20)
  assert.equal(sent.length, 9, 'eight are under way again')
  lines.taken()
  assert.equal(sent.at(-1), LINE)
  lines.write(LINE)
  lines.flush()
  assert.equal(sent.at(-1), LINE)
})
