/**
 * Everything that a caller may come with and is to be refused for, in one table, by the way that proxies go: gRPC, TLS, the
 * issuer with all its attestors. Each is a typed error at the caller, an entry of the journal, and no certificate.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import test from 'node:test'
import type { Attestor } from '../../src/ca/attestation.ts'
import type { CaErrorCode } from '../../src/ca/errors.ts'
import { JoinTokenAttestor } from '../../src/ca/join-token-attestor.ts'
import { KeySet } from '../../src/ca/key-set.ts'
import { KubernetesApi } from '../../src/ca/kubernetes-api.ts'
import { KubernetesAttestor } from '../../src/ca/kubernetes-attestor.ts'
import { OidcAttestor } from '../../src/ca/oidc-attestor.ts'
import { PeerSvidAttestor } from '../../src/ca/peer-svid-attestor.ts'
import type { IssueRequest } from '../../src/control/client.ts'
import { ControlError } from '../../src/control/errors.ts'
import { encodeElement } from '../../src/crypto/der.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import type { X509Svid } from '../../src/identity/svid.ts'
import { contextConstructed, contextPrimitive, Tag } from '../../src/pki/der.ts'
import { anyCsr, clientOf, startControlPlane } from '../support/control-plane.ts'
import { authenticated, fakeKubernetes, pod } from '../support/fake-kubernetes.ts'
import { memoryCa, WEB } from '../support/memory-ca.ts'
import { revocationsOf } from '../support/revocations.ts'
import { hmacToken, jwksOf, signToken, tokenSigner, unsignedToken } from '../support/tokens.ts'

const crypto = nativeCrypto()
const HOUR_MS = 3600 * 1000
const OTHER = 'spiffe://example.org/ns/shop/sa/other'
const OUT = SpiffeId.parse('spiffe://example.org/ns/shop/sa/out')

const signer = tokenSigner('ES256', 'one')
const stranger = tokenSigner('ES256', 'stranger')
const NOW = Math.floor(Date.now() / 1000)
const CLAIMS = { iss: 'https://ci.example', aud: 'handfast', sub: 'build', exp: NOW + 3600, name: 'web' }

const EXTENSION_REQUEST = Uint8Array.fromHex('06092a864886f70d01090e')
const SUBJECT_ALT_NAME = Uint8Array.fromHex('0603551d11')
const ECDSA_SHA256 = Uint8Array.fromHex('300a06082a8648ce3d040302')
const RSA_SHA256 = Uint8Array.fromHex('300d06092a864886f70d01010b0500')

/** A PKCS#10 request as another program would make it (RFC 2986 §4). */
function csrOf(
  { publicKey, privateKey }: { readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  algorithm: Uint8Array,
  uri?: string,
): Uint8Array {
  const names = uri === undefined ? [] : [encodeElement(contextPrimitive(6), Buffer.from(uri))]
  const extension = encodeElement(
    Tag.sequence,
    SUBJECT_ALT_NAME,
    encodeElement(Tag.octetString, encodeElement(Tag.sequence, ...names)),
  )
  const attribute = encodeElement(
    Tag.sequence,
    EXTENSION_REQUEST,
    encodeElement(Tag.set, encodeElement(Tag.sequence, extension)),
  )
  const info = encodeElement(
    Tag.sequence,
    encodeElement(Tag.integer, Uint8Array.of(0)),
    encodeElement(Tag.sequence),
    publicKey.export({ format: 'der', type: 'spki' }),
    encodeElement(contextConstructed(0), ...(uri === undefined ? [] : [attribute])),
  )
  const signature = encodeElement(Tag.bitString, Uint8Array.of(0), sign('sha256', info, privateKey))
  return encodeElement(Tag.sequence, info, algorithm, signature)
}

const EC_PAIR = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** A request that came, and the code that it is refused with. */
interface Refusal {
  readonly code: CaErrorCode
  readonly request: Partial<IssueRequest>
  /** What the connection shows. @default nothing */
  readonly credential?: X509Svid
}

test('nobody is issued a certificate on evidence, or for a key, that does not hold', async (t) => {
  const kubernetes = await fakeKubernetes(t)
  const attestors: Record<string, Attestor<never>> = {}
  const revocations = revocationsOf({ trustDomain: WEB.trustDomain, spiffeIds: [OUT.toString()] })
  const ca = await memoryCa(Date.now(), { attestors, revocations: () => revocations })
  attestors['join-token'] = new JoinTokenAttestor({ crypto, store: ca.tokens })
  attestors['peer-svid'] = new PeerSvidAttestor()
  attestors['oidc'] = new OidcAttestor({
    issuers: [
      {
        issuer: CLAIMS.iss,
        audience: 'handfast',
        algorithms: ['ES256'],
        keys: new KeySet({ crypto, source: 'the test', load: () => Promise.resolve(jwksOf(signer)) }),
        spiffeId: 'spiffe://example.org/ns/shop/sa/{name}',
        claims: {},
      },
    ],
    clockSkewMs: 60_000,
  })
  attestors['kubernetes'] = new KubernetesAttestor({
    reviewer: new KubernetesApi(kubernetes),
    trustDomain: 'example.org',
    audience: 'handfast',
    clockSkewMs: 60_000,
    checkPods: true,
  })
  const plane = await startControlPlane(t, { ca })
  const issued = (): number => ca.journal.entries.filter(({ kind }) => kind === 'issued').length

  const single = await ca.token(WEB, HOUR_MS, 1)
  await clientOf(plane).issueSvid({ csr: anyCsr(), joinToken: single })
  const token = await ca.token()
  const svid = await plane.svid(WEB)
  const revoked = await plane.svid(WEB)
  plane.board.publish({
    ...plane.state('r2'),
    revocations: revocationsOf({
      ...revocations.list,
      serialNumbers: [revoked.chain[0]!.serialNumber],
    }),
  })
  const bound = { 'pod-name': 'web-1', 'pod-uid': 'uid-1', 'node-name': 'node-1' }
  const serviceAccount = (name: string, ...reviewed: Parameters<typeof authenticated>): string => {
    const text = signToken(stranger, { iss: 'cluster', aud: ['handfast'], exp: NOW + 600, sub: name })
    kubernetes.reviews.set(text, authenticated(...reviewed))
    return text
  }
  kubernetes.pods.set('shop/web-2', pod('uid-of-its-successor', 'web', 'node-1'))
  const otherPair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })

  const refusals: Readonly<Record<string, Refusal>> = {
    'no evidence': { code: 'CA_NO_EVIDENCE', request: {} },
    'a join token that nobody gave out': {
      code: 'CA_TOKEN_UNKNOWN',
      request: { joinToken: `hfj_${'A'.repeat(43)}` },
    },
    'a join token that has expired': {
      code: 'CA_TOKEN_EXPIRED',
      request: { joinToken: await ca.token(WEB, 1) },
    },
    'a join token for one use, for the second time': {
      code: 'CA_TOKEN_USED',
      request: { joinToken: single },
    },
    'an OIDC token for another audience': {
      code: 'CA_TOKEN_AUDIENCE',
      request: { oidcToken: signToken(signer, { ...CLAIMS, aud: 'somebody else' }) },
    },
    'an OIDC token that has expired': {
      code: 'CA_TOKEN_EXPIRED',
      request: { oidcToken: signToken(signer, { ...CLAIMS, exp: NOW - 3600 }) },
    },
    'an OIDC token of the algorithm none': {
      code: 'CA_TOKEN_ALGORITHM',
      request: { oidcToken: unsignedToken(CLAIMS) },
    },
    'an OIDC token signed with the public key as a secret': {
      code: 'CA_TOKEN_ALGORITHM',
      request: { oidcToken: hmacToken(JSON.stringify(signer.jwk), CLAIMS) },
    },
    'an OIDC token of an unknown key': {
      code: 'CA_TOKEN_KEY',
      request: { oidcToken: signToken(stranger, CLAIMS) },
    },
    'an OIDC token whose signature does not hold': {
      code: 'CA_TOKEN_SIGNATURE',
      request: { oidcToken: signToken({ ...stranger, keyId: signer.keyId }, CLAIMS) },
    },
    'an OIDC token of another issuer': {
      code: 'CA_TOKEN_ISSUER',
      request: { oidcToken: signToken(signer, { ...CLAIMS, iss: 'https://other.example' }) },
    },
    'a service-account token for another audience': {
      code: 'CA_TOKEN_AUDIENCE',
      request: { serviceAccountToken: serviceAccount('a', 'shop/web', {}, ['somebody else']) },
    },
    'a service-account token whose pod is gone': {
      code: 'CA_POD_GONE',
      request: { serviceAccountToken: serviceAccount('b', 'shop/web', bound) },
    },
    'a service-account token whose pod was made anew': {
      code: 'CA_POD_GONE',
      request: { serviceAccountToken: serviceAccount('c', 'shop/web', { ...bound, 'pod-name': 'web-2' }) },
    },
    'a service-account token that the cluster does not know': {
      code: 'CA_TOKEN_REFUSED',
      request: {
        serviceAccountToken: signToken(stranger, {
          iss: 'cluster',
          aud: ['handfast'],
          exp: NOW + 600,
          sub: 'd',
        }),
      },
    },
    'a request for another identity': {
      code: 'CA_CSR_IDENTITY',
      request: { joinToken: token, csr: csrOf(EC_PAIR, ECDSA_SHA256, OTHER) },
    },
    'a request for another identity, on a connection that proves one': {
      code: 'CA_CSR_IDENTITY',
      request: { csr: csrOf(EC_PAIR, ECDSA_SHA256, OTHER) },
      credential: svid,
    },
    'a request for a key of RSA-1024': {
      code: 'CA_CSR_KEY',
      request: { joinToken: token, csr: csrOf(small, RSA_SHA256) },
    },
    'a request that another key has signed': {
      code: 'CA_CSR_SIGNATURE',
      request: {
        joinToken: token,
        csr: csrOf({ publicKey: EC_PAIR.publicKey, privateKey: otherPair.privateKey }, ECDSA_SHA256),
      },
    },
    'a request that is none': {
      code: 'CA_CSR_INVALID',
      request: { joinToken: token, csr: Uint8Array.of(1, 2, 3) },
    },
    'an identity of another trust domain': {
      code: 'CA_WRONG_TRUST_DOMAIN',
      request: { joinToken: await ca.token(SpiffeId.parse('spiffe://other.example/a')) },
    },
    'an identity that is revoked, with a good token': {
      code: 'CA_REVOKED',
      request: { joinToken: await ca.token(OUT) },
    },
    'an identity that is revoked, with a good certificate': {
      code: 'CA_REVOKED',
      request: {},
      credential: await plane.svid(OUT),
    },
    'a certificate that is revoked': { code: 'CA_REVOKED', request: {}, credential: revoked },
  }

  for (const [what, { code, request, credential }] of Object.entries(refusals)) {
    const [before, entries] = [issued(), ca.journal.entries.length]
    const client = clientOf(plane, credential === undefined ? {} : { credential: () => credential })
    await assert.rejects(
      client.issueSvid({ csr: anyCsr(), ...request }),
      (error) => {
        assert.ok(error instanceof ControlError)
        assert.deepEqual([error.code, error.refusal], ['CONTROL_REFUSED', code], what)
        return true
      },
      what,
    )
    assert.equal(issued(), before, `${what}: nothing is issued`)
    const [entry, ...more] = ca.journal.entries.slice(entries)
    assert.ok(entry?.kind === 'refused', what)
    assert.equal(entry.code, code, what)
    assert.deepEqual(more, [], what)
  }
  // What was refused above was refused for itself: the same callers get what they may have.
  await clientOf(plane).issueSvid({ csr: csrOf(EC_PAIR, ECDSA_SHA256, WEB.toString()), joinToken: token })
  await clientOf(plane, { credential: () => svid }).issueSvid({ csr: anyCsr() })
  await clientOf(plane).issueSvid({ csr: anyCsr(), oidcToken: signToken(signer, CLAIMS) })
  kubernetes.pods.set('shop/web-1', pod('uid-1', 'web', 'node-1'))
  const good = serviceAccount('e', 'shop/web', bound)
  await clientOf(plane).issueSvid({ csr: anyCsr(), serviceAccountToken: good })
})
