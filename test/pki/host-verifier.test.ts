import assert from 'node:assert/strict'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { checkHostName, hostnameVerifier } from '../../src/pki/host-verifier.ts'
import { mintIntermediate, mintLeaf, mintRoot, mintSvid } from '../support/certificates.ts'

const NOW_MS = Date.UTC(2026, 5, 1)
const now = { nowMs: NOW_MS }
const root = await mintRoot(now)
const intermediate = await mintIntermediate(root, now)
const leaf = await mintLeaf(intermediate, {
  ...now,
  commonName: 'decoy.example',
  dnsNames: ['web.example', '*.shop.example'],
})
const anchors = [root.certificate]

test('hostnameVerifier proves the name that the connection asked for', () => {
  const verifier = hostnameVerifier({ anchors, crypto: nativeCrypto() })
  const context = { peerRole: 'server', nowMs: NOW_MS } as const
  const peer = verifier.verify(leaf.chain, { ...context, serverName: 'a.shop.example' })
  assert.equal(peer.name, 'a.shop.example')
  assert.equal(peer.path.length, 3)
  assert.equal(peer.expiresAtMs, leaf.certificate.notAfterMs)
  assert.throws(() => verifier.verify(leaf.chain, { ...context, serverName: 'decoy.example' }), {
    code: 'PKI_NAME_MISMATCH',
    message: /not for "decoy\.example": it has web\.example, \*\.shop\.example, 127\.0\.0\.1, ::1/,
    certificate: leaf.certificate,
  })
  assert.deepEqual(verifier.authorities, [root.certificate.subject.der])
})

test('hostnameVerifier prefers the name it was made for, which may be an address', () => {
  const context = { peerRole: 'server', nowMs: NOW_MS, serverName: 'other.example' } as const
  const options = { anchors, crypto: nativeCrypto() }
  for (const expectedName of ['WEB.example', '127.0.0.1', '[::1]', '0:0::1'])
    assert.equal(
      hostnameVerifier({ ...options, expectedName }).verify(leaf.chain, context).name,
      expectedName,
    )
  for (const expectedName of ['127.0.0.2', '::2', '::ffff:127.0.0.1', 'evil.example'])
    assert.throws(() => hostnameVerifier({ ...options, expectedName }).verify(leaf.chain, context), {
      code: 'PKI_NAME_MISMATCH',
    })
})

test('hostnameVerifier refuses a server when no name was asked for', () => {
  const verifier = hostnameVerifier({ anchors, crypto: nativeCrypto() })
  assert.throws(() => verifier.verify(leaf.chain, { peerRole: 'server', nowMs: NOW_MS }), {
    code: 'PKI_NAME_MISMATCH',
    message: /no name was asked for/,
  })
})

test('hostnameVerifier knows a client by the first name its certificate has', async () => {
  const verifier = hostnameVerifier({ anchors, crypto: nativeCrypto() })
  const context = { peerRole: 'client', nowMs: NOW_MS, serverName: 'we.are.the.server.example' } as const
  assert.equal(verifier.verify(leaf.chain, context).name, 'web.example')
  const svid = await mintSvid(intermediate, 'spiffe://shop.example/a', now)
  assert.equal(verifier.verify(svid.chain, context).name, 'spiffe://shop.example/a')
  const named = await mintLeaf(intermediate, {
    ...now,
    commonName: 'Jo',
    without: ['dnsNames', 'ipAddresses', 'uris'],
  })
  assert.equal(verifier.verify(named.chain, context).name, 'CN=Jo')
})

test('hostnameVerifier verifies the chain too', () => {
  const verifier = hostnameVerifier({ anchors, crypto: nativeCrypto(), expectedName: 'web.example' })
  assert.throws(() => verifier.verify([leaf.certificate], { peerRole: 'server', nowMs: NOW_MS }), {
    code: 'PKI_UNKNOWN_ISSUER',
  })
})

test('checkHostName never reads the common name', async () => {
  const bare = await mintLeaf(intermediate, {
    ...now,
    commonName: 'web.example',
    without: ['dnsNames', 'ipAddresses', 'uris'],
  })
  assert.throws(() => checkHostName(bare.certificate, 'web.example'), {
    message: /no DNS name and no IP address/,
  })
})
