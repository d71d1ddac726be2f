import assert from 'node:assert/strict'
import test from 'node:test'
import { array, assert as holds, property, uint8Array } from 'fast-check'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { type RevocationList, type Revocations, revokedText } from '../../src/identity/revocations.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { TlsError } from '../../src/tls/errors.ts'
import { mintSvid, mintTrustDomain } from '../support/certificates.ts'
import { revocationsOf } from '../support/revocations.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const WEB = 'spiffe://shop.example/ns/shop/sa/web'
const crypto = nativeCrypto()
const shop = await mintTrustDomain('shop.example', { nowMs: NOW_MS })
const bank = await mintTrustDomain('bank.example', { nowMs: NOW_MS })
const bundles = new TrustBundles([shop.bundle, bank.bundle])
const web = await mintSvid(shop.intermediate, WEB, { nowMs: NOW_MS })
const teller = await mintSvid(bank.intermediate, 'spiffe://bank.example/ns/bank/sa/teller', { nowMs: NOW_MS })

function keyOf({ publicKey }: Certificate): string {
  return crypto.digest('sha256', publicKey.spki).toHex()
}

/** Lists that revoke `web`, and in which way. */
const LISTS: readonly (readonly [RegExp, Partial<RevocationList>])[] = [
  [/the serial number/, { serialNumbers: [web.certificate.serialNumber] }],
  [/the identity spiffe:\/\/shop/, { spiffeIds: [WEB] }],
  [/the issuer/, { issuerKeys: [keyOf(shop.intermediate.certificate)] }],
  [/the issuer/, { issuerKeys: [keyOf(shop.root.certificate)] }],
]

function verifierWith(revocations: Revocations) {
  return svidVerifier({ bundles: () => bundles, crypto, revocations: () => revocations })
}

test('svidVerifier refuses who is revoked by serial number, identity or issuer, in full and on resumption', () => {
  const context = { peerRole: 'client', nowMs: NOW_MS } as const
  const peer = verifierWith(revocationsOf({})).verify(web.chain, context)
  for (const [message, list] of LISTS) {
    const verifier = verifierWith(revocationsOf(list))
    const judged = [
      () => verifier.verify(web.chain, context),
      () => verifier.reverify!(peer, context),
    ] as const
    for (const judge of judged)
      assert.throws(judge, (error) => {
        assert.ok(error instanceof CertificateError)
        assert.equal(error.code, 'PKI_REVOKED')
        assert.match(error.message, message)
        assert.match(error.message, /on the list of 2026-06-01T12:00:00Z$/)
        assert.equal(error.certificate, web.certificate)
        const refusal = new TlsError('TLS_CERTIFICATE_REJECTED', error.message, { cause: error })
        assert.equal(refusal.alert, 'certificate_revoked')
        return true
      })
  }
})

test('svidVerifier leaves everyone else alone', () => {
  for (const [, list] of LISTS)
    assert.equal(
      verifierWith(revocationsOf(list)).verify(teller.chain, { peerRole: 'server', nowMs: NOW_MS }).name,
      'spiffe://bank.example/ns/bank/sa/teller',
    )
})

test('Revocations.find takes serial numbers for those of one trust domain, however they are padded', () => {
  const path = [web.certificate, shop.intermediate.certificate, shop.root.certificate]
  const { serialNumber } = web.certificate
  const own = revocationsOf({ serialNumbers: [serialNumber] })
  assert.deepEqual(own.find({ name: WEB, path }, crypto), { kind: 'serial', serialNumber })
  const foreign = revocationsOf({ serialNumbers: [serialNumber], trustDomain: 'shop.exampl' })
  assert.equal(foreign.find({ name: WEB, path }, crypto), undefined)
  const authority = revocationsOf({ serialNumbers: [shop.intermediate.certificate.serialNumber] })
  assert.equal(authority.find({ name: WEB, path }, crypto), undefined, 'authorities are named by key')
  const padded = { ...web.certificate, serialNumber: '000a' }
  const short = revocationsOf({ serialNumbers: ['a'] })
  assert.equal(short.find({ name: WEB, path: [padded, ...path.slice(1)] }, crypto)?.kind, 'serial')
})

test('Revocations.find names a subject that is on the list, and none that is not', () => {
  const path = [web.certificate, shop.intermediate.certificate, shop.root.certificate]
  const hex = uint8Array({ minLength: 1, maxLength: 20 }).map((bytes) => bytes.toHex())
  holds(
    property(array(hex), array(hex), (serialNumbers, issuerKeys) => {
      const found = revocationsOf({ serialNumbers, issuerKeys }).find({ name: WEB, path }, crypto)
      assert.equal(found, undefined)
      const [, list] = LISTS[0]!
      const with_ = revocationsOf({ serialNumbers: [...serialNumbers, ...list.serialNumbers!], issuerKeys })
      assert.match(revokedText(with_.find({ name: WEB, path }, crypto)!), /^the serial number/)
    }),
  )
})
