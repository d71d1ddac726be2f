import assert from 'node:assert/strict'
import test from 'node:test'
import type { Side } from '../../src/diagnose/explanation.ts'
import { explainHandshake } from '../../src/diagnose/explain.ts'
import { renderExplanation } from '../../src/diagnose/render.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import {
  anonymousClient,
  expiredServer,
  mutualSuccess,
  plaintextClient,
  refusedAnonymousClient,
} from './events.ts'

function render(events: readonly TraceEvent[], perspective: Side, width = 100): string {
  return renderExplanation(explainHandshake(events, perspective), { colour: false, width })
}

test('renderExplanation tells a client that finished and was refused afterwards so', () => {
  const text = render(refusedAnonymousClient(), 'client')
  assert.match(text, /✗ failed at stage 3 of 5\n/)
  assert.match(text, /after 4\.1 ms for the client, and for the server never: it refused\n/)
  assert.match(text, /refused by {2}the server, by the alert certificate_required\n/)
  assert.match(text, /In TLS 1\.3 the\n\s+client finishes first/)
})

test('renderExplanation only adds colour where colour is asked for', () => {
  const explanation = explainHandshake(expiredServer(), 'client')
  const coloured = renderExplanation(explanation, { colour: true, width: 90 })
  const plain = renderExplanation(explanation, { colour: false, width: 90 })
  assert.notEqual(coloured, plain)
  // oxlint-disable-next-line no-control-regex
  assert.equal(coloured.replaceAll(/\u001b\[\d+m/g, ''), plain)
})

test('renderExplanation keeps every line within the width', () => {
  for (const width of [80, 95, 110]) {
    const texts = [
      render(mutualSuccess(), 'client', width),
      render(expiredServer(), 'client', width),
      render(anonymousClient(), 'server', width),
      render(refusedAnonymousClient(), 'client', width),
      render(plaintextClient(), 'server', width),
    ]
    for (const line of texts.join('').split('\n')) assert.ok(line.length <= width, `${line.length}: ${line}`)
  }
})

test('renderExplanation of a trace without events says that nothing happened', () => {
  const text = render([], 'client')
  assert.match(text, /^TLS handshake, as the client saw it +· not finished\n/)
  assert.equal(text.match(/not reached/g)?.length, 5)
})
