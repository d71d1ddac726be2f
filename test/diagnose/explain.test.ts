import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import { explainHandshake } from '../../src/diagnose/explain.ts'
import type { MessageStep } from '../../src/diagnose/explanation.ts'
import { renderExplanation } from '../../src/diagnose/render.ts'
import { NetError } from '../../src/net/errors.ts'
import { TlsError } from '../../src/tls/errors.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import {
  anonymousClient,
  CATALOG,
  certificate,
  clientUntilCertificate,
  expiredServer,
  mutualSuccess,
  plaintextClient,
  refusedAnonymousClient,
  ROOT,
  START_MS,
} from './events.ts'

test('explainHandshake answers all five questions of a handshake that holds', () => {
  const explanation = explainHandshake(mutualSuccess(), 'client')
  assert.equal(explanation.outcome, 'established')
  assert.equal(explanation.failure, undefined)
  assert.deepEqual(
    explanation.stages.map(({ number, status }) => [number, status]),
    [1, 2, 3, 4, 5].map((number) => [number, 'answered']),
  )
  assert.deepEqual(explanation.settled, {
    version: 'TLS 1.3',
    cipherSuite: 'TLS_AES_128_GCM_SHA256',
    group: 'x25519',
    postQuantum: false,
    resumed: false,
    serverName: 'catalog.shop.svc',
    alpn: 'h2',
    peer: { name: CATALOG, expiresAtMs: certificate(CATALOG).notAfterMs },
  })
})

test('explainHandshake marks two transitions in each direction', () => {
  const { transitions } = explainHandshake(mutualSuccess(), 'client')
  assert.deepEqual(
    transitions.map(({ from, handshakeAfterMs, applicationAfterMs }) => [
      from,
      Math.round(handshakeAfterMs! * 10) / 10,
      Math.round(applicationAfterMs! * 10) / 10,
    ]),
    [
      ['client', 2.1, 4.1],
      ['server', 2.1, 3.5],
    ],
  )
})

test('explainHandshake numbers messages by time, whatever stage they belong to', () => {
  const { stages } = explainHandshake(mutualSuccess(), 'client')
  const messages = stages
    .flatMap(({ steps }) => steps)
    .filter((step): step is MessageStep => step.kind === 'message')
    .toSorted((a, b) => a.order - b.order)
  assert.deepEqual(
    messages.map(({ order, from, name }) => `${order} ${from} ${name}`),
    [
      '1 client ClientHello',
      '2 server ServerHello',
      '3 server EncryptedExtensions',
      '4 server CertificateRequest',
      '5 server Certificate',
      '6 server CertificateVerify',
      '7 server Finished',
      '8 client Certificate',
      '9 client CertificateVerify',
      '10 client Finished',
    ],
  )
})

test('explainHandshake counts close_notify once, with and without its alert in the trace', () => {
  const withAlerts = explainHandshake(mutualSuccess(), 'client')
  const withoutAlerts = explainHandshake(
    mutualSuccess().filter(({ kind }) => kind !== 'alert'),
    'client',
  )
  assert.deepEqual(withoutAlerts.stages[4], withAlerts.stages[4])
  assert.equal(withAlerts.stages[4]!.steps.filter(({ kind }) => kind === 'alert').length, 2)
})

test('explainHandshake tells a resumed handshake, which shows no certificate, from a fresh one', () => {
  const shown = new Set(['certificate_request', 'certificate', 'certificate_verify'])
  const events = mutualSuccess()
    .filter((event) => !(event.kind === 'message' && shown.has(event.type)))
    .filter(({ kind }) => kind !== 'identity' && kind !== 'possession')
    .map((event) => (event.kind === 'agreed' ? Object.assign({}, event, { resumed: true }) : event))
  events.splice(1, 0, { kind: 'keys', direction: 'sent', protection: 'early', atMs: START_MS })
  const explanation = explainHandshake(events, 'client')
  assert.equal(explanation.outcome, 'established')
  assert.equal(explanation.stages[2]!.status, 'answered')
  assert.match(explanation.stages[2]!.answer!, /^as an earlier handshake proved/)
  const text = renderExplanation(explanation, { colour: false, width: 100 })
  assert.match(text, /client ══▶ server {2}early data \(0-RTT, may be replayed\) from here on/)
  assert.match(text, /both mix the secret of an earlier session with/)
  assert.equal(explainHandshake(events.slice(0, 6), 'client').stages[2]!.status, 'open')
})

test('explainHandshake lets the observer see names and sizes, and no certificate', () => {
  const { observer } = explainHandshake(mutualSuccess(), 'client')
  const saw = JSON.stringify(observer.saw)
  assert.match(saw, /catalog\.shop\.svc/)
  assert.match(saw, /about 2030 bytes/)
  assert.doesNotMatch(saw, /spiffe:/)
  assert.match(JSON.stringify(observer.hidden), /certificate of the server/)
})

test('explainHandshake blames the certificate behind the refusal, with the clock as evidence', () => {
  const { outcome, failure, stages } = explainHandshake(expiredServer(), 'client')
  assert.equal(outcome, 'refused')
  assert.equal(failure?.code, 'PKI_EXPIRED')
  assert.equal(failure.stage, 3)
  assert.equal(failure.refusedBy, 'client')
  assert.deepEqual(failure.alert, { description: 'certificate_expired', from: 'client' })
  assert.ok(failure.evidence.includes('the clock of this machine says 2026-11-23 12:00:00 UTC'))
  assert.equal(failure.certificate?.spiffeId, CATALOG)
  assert.deepEqual(
    stages.map(({ status }) => status),
    ['answered', 'answered', 'failed', 'open', 'open'],
  )
})

test('explainHandshake tells a client without certificate from both ends', () => {
  const server = explainHandshake(anonymousClient(), 'server')
  assert.equal(server.failure?.code, 'TLS_CERTIFICATE_REQUIRED')
  assert.equal(server.failure.refusedBy, 'server')
  assert.equal(server.outcome, 'refused')
  const client = explainHandshake(refusedAnonymousClient(), 'client')
  assert.equal(client.failure?.code, 'TLS_PEER_ALERT')
  assert.equal(client.failure.refusedBy, 'server')
  assert.equal(client.failure.stage, 3)
  assert.equal(client.outcome, 'refused')
  assert.deepEqual(client.failure.evidence, ['our side showed no certificate'])
})

test('explainHandshake reaches nothing with a peer that does not speak TLS', () => {
  const { failure, settled, observer } = explainHandshake(plaintextClient(), 'server')
  assert.equal(failure?.code, 'TLS_NOT_TLS')
  assert.equal(failure.stage, 1)
  assert.deepEqual(settled, {})
  assert.deepEqual(observer.hidden, [])
})

test('explainHandshake takes what ended the connection from outside the trace', () => {
  const events = clientUntilCertificate([certificate(CATALOG)]).slice(0, 1)
  const reset = new NetError('NET_RESET', 'Connection with 192.0.2.1:443: The other side cut the connection')
  const { failure, outcome } = explainHandshake(events, 'client', reset)
  assert.equal(outcome, 'refused')
  assert.equal(failure?.code, 'NET_RESET')
  assert.equal(failure.refusedBy, undefined)
  assert.equal(failure.stage, 1)
  assert.equal(failure.reached, 'ClientHello of the client (#1)')
})

test('explainHandshake prefers what the trace says of its end', () => {
  const outside = new NetError('NET_RESET', 'Cut')
  assert.equal(explainHandshake(expiredServer(), 'client', outside).failure?.code, 'PKI_EXPIRED')
})

test('explainHandshake calls a connection broken that fails once data flows', () => {
  const error = new TlsError('TLS_TRUNCATED', 'The transport ended without close_notify')
  const established = mutualSuccess().filter(({ atMs }) => atMs < START_MS + 100)
  const events: TraceEvent[] = [...established, { kind: 'failed', error, atMs: START_MS + 200 }]
  const { outcome, failure } = explainHandshake(events, 'client')
  assert.equal(outcome, 'broken')
  assert.equal(failure?.stage, 5)
  assert.equal(failure.refusedBy, undefined)
})

test('explainHandshake leaves nothing in any text that could drive a terminal', () => {
  const hostile = 'a\u001b[2J\u0007\u202eb\u009b\r\n'
  const leaf = certificate('evil', {
    subject: { text: hostile },
    issuer: { text: hostile },
    subjectAltNames: { uris: [`spiffe://${hostile}`], dnsNames: [hostile], ipAddresses: [] },
  } as never)
  const events = clientUntilCertificate([leaf]).map((event) => {
    if (event.kind !== 'message' || event.details.message !== 'client_hello') return event
    return Object.assign({}, event, {
      details: Object.assign({}, event.details, { serverName: hostile, alpn: [hostile], groups: [hostile] }),
    })
  })
  events.push(
    { kind: 'identity', name: hostile, expiresAtMs: START_MS, path: [leaf, ROOT], atMs: START_MS },
    { kind: 'alert', direction: 'received', description: hostile, protection: 'handshake', atMs: START_MS },
    { kind: 'failed', error: new TlsError('TLS_PEER_ALERT', hostile, { received: hostile }), atMs: START_MS },
  )
  const explanation = explainHandshake(events, 'client')
  const text = renderExplanation(explanation, { colour: false, width: 100 })
  assert.match(text, /\\u\{1b\}/)
  assert.doesNotMatch(text.replaceAll('\n', ''), /\p{C}/u)
})

test('explainHandshake explains every part of a trace, in any order, without failing', () => {
  const events = [...mutualSuccess(), ...expiredServer(), ...refusedAnonymousClient()]
  fc.assert(
    fc.property(
      fc.subarray(events),
      fc.constantFrom('client', 'server'),
      fc.boolean(),
      (some, side, reverse) => {
        const explanation = explainHandshake(reverse ? some.toReversed() : some, side)
        const text = renderExplanation(explanation, { colour: false, width: 80 })
        assert.equal(explanation.stages.length, 5)
        assert.ok(text.endsWith('\n'))
        const told = explanation.stages.flatMap(({ steps }) => steps)
        const messages = some.filter(({ kind }) => kind === 'message').length
        assert.equal(told.filter(({ kind }) => kind === 'message').length, messages)
      },
    ),
  )
})
