import assert from 'node:assert/strict'
import test from 'node:test'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import { explainHandshake } from '../../src/diagnose/explain.ts'
import { explanationToJson, type Json } from '../../src/diagnose/json.ts'
import { expiredServer, mutualSuccess } from './events.ts'

type JsonObject = { readonly [key: string]: Json }

function toJson(events: Parameters<typeof explainHandshake>[0]): JsonObject {
  const document = explanationToJson(explainHandshake(events, 'client'), portableCrypto())
  return JSON.parse(JSON.stringify(document)) as JsonObject
}

test('explanationToJson of an established handshake has the documented fields', () => {
  const document = toJson(mutualSuccess())
  assert.deepEqual(Object.keys(document), [
    'format',
    'perspective',
    'startedAt',
    'outcome',
    'establishedAfterMs',
    'settled',
    'stages',
    'transitions',
    'observer',
  ])
  assert.equal(document['format'], 'handfast.handshake/1')
  assert.equal(document['startedAt'], '2026-11-23T12:00:00.000Z')
  assert.equal(document['establishedAfterMs'], 4.1)
  assert.deepEqual(document['transitions'], [
    { from: 'client', handshakeAfterMs: 2.1, applicationAfterMs: 4.1 },
    { from: 'server', handshakeAfterMs: 2.1, applicationAfterMs: 3.5 },
  ])
})

test('explanationToJson shows a message with what an observer could read of it', () => {
  const [first] = toJson(mutualSuccess())['stages'] as unknown as { steps: JsonObject[] }[]
  const { facts, ...hello } = first!.steps[0]!
  assert.deepEqual(hello, {
    kind: 'message',
    afterMs: 0,
    order: 1,
    from: 'client',
    name: 'ClientHello',
    bytes: 312,
    protection: 'plaintext',
    readableByObserver: true,
  })
  assert.deepEqual((facts as readonly Json[])[0], { label: 'versions', value: ['TLS 1.3'] })
  assert.ok((facts as unknown as JsonObject[]).some(({ legacy }) => legacy === true))
})

test('explanationToJson shows a certificate by its names, validity and fingerprint', () => {
  const { failure } = toJson(expiredServer()) as unknown as { failure: JsonObject }
  assert.deepEqual(failure['certificate'], {
    subject: '',
    issuer: 'CN=Shop workloads,O=Shop',
    spiffeId: 'spiffe://shop.test/ns/shop/sa/catalog',
    names: [],
    serial: '0a1b2c3d',
    notBefore: '2026-11-22T09:00:00.000Z',
    notAfter: '2026-11-22T10:00:00.000Z',
    sha256: portableCrypto()
      .digest('sha256', new TextEncoder().encode('spiffe://shop.test/ns/shop/sa/catalog'))
      .toHex(),
  })
})

test('explanationToJson of a failure names code, stage, side, alert, evidence and remedy', () => {
  const document = toJson(expiredServer())
  assert.equal(document['outcome'], 'refused')
  assert.equal(document['establishedAfterMs'], undefined)
  const { code, stage, refusedBy, alert, evidence, remedy, afterMs } = document['failure'] as JsonObject
  assert.deepEqual(
    { code, stage, refusedBy, alert, afterMs },
    {
      code: 'PKI_EXPIRED',
      stage: 3,
      refusedBy: 'client',
      alert: { description: 'certificate_expired', from: 'client' },
      afterMs: 2.9,
    },
  )
  assert.equal((evidence as readonly Json[]).length, 4)
  assert.match(remedy as string, /^Renew the certificate/)
})

test('explanationToJson gives no date where a certificate claims a year beyond all calendars', () => {
  const events = expiredServer()
  const failed = events.at(-1)!
  assert.ok(failed.kind === 'failed')
  const { certificate } = failed.error.cause as { certificate: object }
  Object.assign(certificate, { notAfterMs: 9e15 })
  const { failure } = toJson(events) as unknown as { failure: { certificate: JsonObject } }
  assert.equal(failure.certificate['notAfter'], null)
})
