import assert from 'node:assert/strict'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import { IdentityError } from '../../src/identity/errors.ts'
import type { IdentityErrorCode } from '../../src/identity/errors.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import { parseX509Svid } from '../../src/identity/svid.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import type { SvidVerifierOptions } from '../../src/identity/svid-verifier.ts'
import { trustBundle, TrustBundles } from '../../src/identity/trust-bundle.ts'
import type { PkiErrorCode } from '../../src/pki/errors.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { Oid } from '../../src/pki/oid.ts'
import { mintSvid, mintTrustDomain } from '../support/certificates.ts'
import type { MintOptions, Minted } from '../support/certificates.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const now = { nowMs: NOW_MS }
const WEB = 'spiffe://shop.example/ns/shop/sa/web'
const shop = await mintTrustDomain('shop.example', now)
const bank = await mintTrustDomain('bank.example', now)
const both = new TrustBundles([shop.bundle, bank.bundle])
const web = await mintSvid(shop.intermediate, WEB, now)

function verify(peer: Minted, options: Partial<SvidVerifierOptions> = {}) {
  const verifier = svidVerifier({ bundles: () => both, crypto: nativeCrypto(), ...options })
  return verifier.verify(peer.chain, { peerRole: 'client', nowMs: NOW_MS })
}

function refuses(
  peer: Minted,
  code: IdentityErrorCode | PkiErrorCode,
  { message = /./, ...options }: Partial<SvidVerifierOptions> & { readonly message?: RegExp } = {},
): void {
  assert.throws(
    () => verify(peer, options),
    (error: unknown) => {
      assert.ok(error instanceof CertificateError, String(error))
      assert.equal(error.code, code, error.message)
      assert.equal(error instanceof IdentityError, code.startsWith('IDENTITY_'))
      assert.equal(error.certificate, peer.certificate)
      assert.match(error.message, message)
      return true
    },
  )
}

async function svid(options: MintOptions): Promise<Minted> {
  return mintSvid(shop.intermediate, WEB, { ...now, ...options })
}

test('svidVerifier proves a SPIFFE ID, with either provider and in either role', () => {
  for (const crypto of [nativeCrypto(), portableCrypto()])
    for (const peerRole of ['server', 'client'] as const) {
      const verifier = svidVerifier({ bundles: () => both, crypto })
      const peer = verifier.verify(web.chain, { peerRole, nowMs: NOW_MS })
      assert.equal(peer.name, WEB)
      assert.equal(peer.expiresAtMs, NOW_MS + 3_600_000)
      assert.deepEqual(peer.path, [web.certificate, shop.intermediate.certificate, shop.root.certificate])
    }
})

test('svidVerifier names the anchors of all bundles, as they are at that time', () => {
  let bundles = shop.bundles
  const verifier = svidVerifier({ bundles: () => bundles, crypto: nativeCrypto() })
  assert.deepEqual(verifier.authorities, [shop.root.certificate.subject.der])
  bundles = both
  assert.equal(verifier.authorities?.length, 2)
})

test('svidVerifier uses the bundle of the trust domain that the leaf names, and no other', async () => {
  const impostor = await mintSvid(bank.intermediate, WEB, now)
  refuses({ ...impostor, certificate: bank.intermediate.certificate }, 'PKI_UNKNOWN_ISSUER')
  const stranger = await mintSvid(shop.intermediate, 'spiffe://elsewhere.example/a', now)
  refuses(stranger, 'IDENTITY_UNKNOWN_TRUST_DOMAIN', {
    message: /elsewhere\.example.*shop\.example, bank\.example/,
  })
  refuses(web, 'IDENTITY_UNKNOWN_TRUST_DOMAIN', {
    bundles: () => new TrustBundles([]),
    message: /one for none/,
  })
})

test('svidVerifier refuses a leaf without URI, with two, or with one that is no SPIFFE ID', async () => {
  refuses(await svid({ uris: [], dnsNames: ['web.shop.svc'] }), 'IDENTITY_MISSING')
  refuses(await svid({ uris: [WEB, 'spiffe://shop.example/ns/shop/sa/admin'] }), 'IDENTITY_AMBIGUOUS', {
    message: /sa\/web, .*sa\/admin/,
  })
  refuses(await svid({ uris: [WEB, WEB] }), 'IDENTITY_AMBIGUOUS')
  refuses(await svid({ uris: [WEB, 'https://shop.example/'] }), 'IDENTITY_AMBIGUOUS')
  refuses(await svid({ uris: ['https://shop.example/ns/shop/sa/web'] }), 'IDENTITY_MALFORMED')
  refuses(await svid({ uris: ['spiffe://shop.example/ns//web'] }), 'IDENTITY_MALFORMED')
  refuses(await svid({ uris: ['spiffe://shop.example'] }), 'IDENTITY_NOT_A_WORKLOAD')
})

test('svidVerifier lets other kinds of names stand beside the SPIFFE ID', async () => {
  assert.equal(
    verify(await svid({ dnsNames: ['web.shop.svc'], ipAddresses: ['10.0.0.1'], commonName: 'web' })).name,
    WEB,
  )
})

test('svidVerifier refuses leaves that could issue certificates', async () => {
  const authority = await svid({ ca: true, keyUsage: ['digitalSignature', 'keyCertSign'] })
  refuses(authority, 'IDENTITY_SIGNING_LEAF')
  refuses(await svid({ ca: true }), 'IDENTITY_SIGNING_LEAF')
  refuses(await svid({ keyUsage: ['digitalSignature', 'keyCertSign'] }), 'IDENTITY_SIGNING_LEAF')
  refuses(await svid({ keyUsage: ['digitalSignature', 'cRLSign'] }), 'IDENTITY_SIGNING_LEAF', {
    message: /cRLSign/,
  })
  refuses({ ...shop.intermediate }, 'IDENTITY_NOT_A_WORKLOAD')
})

test('svidVerifier demands no extended key usage, and honours one', async () => {
  verify(await svid({ without: ['extendedKeyUsage'] }))
  refuses(await svid({ extendedKeyUsage: [Oid.serverAuth] }), 'PKI_EXTENDED_KEY_USAGE')
})

test('svidVerifier verifies the chain, and passes on what is wrong with it', async () => {
  refuses(await svid({ notAfterMs: NOW_MS - 60_000 }), 'PKI_EXPIRED')
  refuses(await svid({ notBeforeMs: NOW_MS + 60_000 }), 'PKI_NOT_YET_VALID')
  refuses(await svid({ signWith: nativeCrypto().generateKey('ec-p256') }), 'PKI_BAD_SIGNATURE')
  refuses({ ...web, chain: [web.certificate] }, 'PKI_UNKNOWN_ISSUER')
})

test('svidVerifier compares the peer with whom is expected, and names both', () => {
  const id = SpiffeId.parse(WEB)
  const catalog = SpiffeId.parse('spiffe://shop.example/ns/shop/sa/catalog')
  assert.equal(verify(web, { expected: id }).name, WEB)
  refuses(web, 'IDENTITY_MISMATCH', {
    expected: catalog,
    message: /is spiffe:.*sa\/web, expected spiffe:.*sa\/catalog/,
  })
  assert.equal(verify(web, { expected: ({ namespace }) => namespace === 'shop' }).name, WEB)
  refuses(web, 'IDENTITY_MISMATCH', { expected: ({ namespace }) => namespace === 'bank', message: /sa\/web/ })
})

test('svidVerifier asks who is expected only once the chain has been verified', () => {
  let asked = 0
  const expected = (): boolean => ++asked > 0
  refuses({ ...web, chain: [web.certificate] }, 'PKI_UNKNOWN_ISSUER', { expected })
  assert.equal(asked, 0)
})

test('svidVerifier accepts both old and new authorities while a root is replaced', async () => {
  const next = await mintTrustDomain('shop.example', now)
  const bundle = trustBundle('shop.example', [shop.root.certificate, next.root.certificate])
  const rotating = { bundles: () => new TrustBundles([bundle]) }
  verify(web, rotating)
  verify(await mintSvid(next.intermediate, WEB, now), rotating)
})

test('parseX509Svid puts chain and key together, and refuses the key of another', () => {
  const parsed = parseX509Svid(web.chain, web.key)
  assert.equal(parsed.id.toString(), WEB)
  assert.equal(parsed.expiresAtMs, web.certificate.notAfterMs)
  assert.equal(parsed.chain, web.chain)
  assert.throws(() => parseX509Svid(web.chain, shop.root.key), { code: 'PKI_KEY_MISMATCH' })
  assert.throws(() => parseX509Svid([shop.intermediate.certificate], shop.intermediate.key), {
    code: 'IDENTITY_NOT_A_WORKLOAD',
  })
  assert.throws(() => parseX509Svid([], web.key), TypeError)
})
