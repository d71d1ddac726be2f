import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import test from 'node:test'
import { decodeFlightLine } from '../../src/authz/flight/decode.ts'
import { encodeFlightLine } from '../../src/authz/flight/encode.ts'
import { followFlightLog, type FlightStreamOptions } from '../../src/proxy/flight-stream.ts'
import { MeshViews } from '../../src/proxy/mesh-view.ts'
import { RevisionHistory } from '../../src/proxy/revision-history.ts'

/** A reader that takes nothing before it is told to. */
class SlowReader extends EventEmitter {
  text = ''
  writableLength = 0

  write(text: string): void {
    this.text += text
    this.writableLength += text.length
  }
}

const LINE = encodeFlightLine({ kind: 'policy', atMs: 0, revision: 'x'.repeat(1_000) })

test('followFlightLog never holds more than a mebibyte for a reader, and tells it what it has missed', () => {
  const reader = new SlowReader()
  let follower: ((text: string) => void) | undefined
  let stopped = 0
  followFlightLog(
    reader as unknown as ServerResponse,
    {
      planes: {
        followers: {
          follow(given: (text: string) => void) {
            follower = given
            return () => stopped++
          },
        },
      },
      history: new RevisionHistory(() => 0),
      views: new MeshViews(),
      config: { trustDomain: 'example.org', inbound: [] },
      addresses: {},
      nowMs: () => 0,
    } as unknown as FlightStreamOptions,
  )
  const head = reader.text
  assert.equal(decodeFlightLine(head).kind, 'proxy')

  let held = 0
  for (let i = 0; i < 2_000; i++) {
    follower!(LINE)
    held = Math.max(held, reader.writableLength)
  }
  assert.ok(held <= 1024 * 1024)
  const passed = (reader.text.length - head.length) / LINE.length
  reader.writableLength = 0
  reader.text = ''
  follower!(LINE + LINE)
  assert.deepEqual(reader.text.split('\n').slice(0, -1).map(decodeFlightLine), [
    { kind: 'lost', count: 2_000 - passed },
    { kind: 'policy', atMs: 0, revision: 'x'.repeat(1_000) },
    { kind: 'policy', atMs: 0, revision: 'x'.repeat(1_000) },
  ])
  reader.emit('close')
  assert.equal(stopped, 1)
})
