import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { PrivateKey } from '../../src/crypto/provider.ts'
import type { CertificateVerifier } from '../../src/pki/verifier.ts'
import { chooseCredential, suitableCredential } from '../../src/tls/credentials.ts'
import type { Credential, CredentialWishes, RawPublicKeyCredential } from '../../src/tls/options.ts'
import { CertificateType, SignatureScheme } from '../../src/tls/registry.ts'
import { mintIntermediate, mintLeaf, mintRoot, mintSvid, mintTrustDomain } from '../support/certificates.ts'
import { assertRefused, established } from '../support/tls-outcome.ts'
import { TlsPair } from '../support/tls-pair.ts'
import { CLIENT_ID, mintWorkloads, newKey, NOW_MS, verifierFor } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()
const workloads = await mintWorkloads()
const other = await mintTrustDomain('other.example', { nowMs: NOW_MS })
const { intermediate } = workloads.domain
const [cart, orders, wild] = await Promise.all(
  [['cart.example'], ['orders.example'], ['*.wild.example']].map((dnsNames) =>
    mintLeaf(intermediate, { nowMs: NOW_MS, dnsNames }),
  ),
)
const stranger = await mintSvid(other.intermediate, CLIENT_ID, { nowMs: NOW_MS })
const edwards = await mintSvid(intermediate, CLIENT_ID, { nowMs: NOW_MS, key: newKey('ed25519') })

const { ecdsa_secp256r1_sha256: ecdsa, ed25519 } = SignatureScheme
const ANYTHING: CredentialWishes = {
  serverName: undefined,
  schemes: [ecdsa, ed25519],
  certificateSchemes: [ecdsa, ed25519],
  certificateAuthorities: [],
  certificateTypes: [CertificateType.X509],
}

function chosen(candidates: readonly Credential[], wishes: Partial<CredentialWishes>): unknown {
  return suitableCredential(candidates, { ...ANYTHING, ...wishes }, 'server').credential
}

test('chooseCredential chooses by the name that a client asks for', () => {
  const all = [cart!, orders!, wild!]
  assert.deepEqual(chooseCredential(all, { serverName: 'ORDERS.example' }), [orders])
  assert.deepEqual(chooseCredential(all, { serverName: 'any.wild.example' }), [wild])
  assert.deepEqual(chooseCredential(all, { serverName: undefined }), all)
  assert.equal(chooseCredential(all, { serverName: 'nobody.example' }), undefined)
  assert.equal(chooseCredential(all, { serverName: 'not a name' }), undefined)
})

test('chooseCredential lets a single credential answer everyone', () => {
  assert.deepEqual(chooseCredential([cart!], { serverName: 'nobody.example' }), [cart])
})

test('suitableCredential chooses the first whose key makes a signature that the peer accepts', () => {
  const both = [workloads.client, edwards]
  assert.equal(chosen(both, {}), workloads.client)
  assert.equal(chosen(both, { schemes: [ed25519] }), edwards)
  assert.throws(() => chosen(both, { schemes: [SignatureScheme.rsa_pss_rsae_sha256] }), {
    code: 'TLS_NO_COMMON_SIGNATURE_SCHEME',
    message: /rsa_pss_rsae_sha256; our ed25519 key/,
  })
})

test('suitableCredential signs as the credential prefers', () => {
  const rsa = rawCredential(newKey('rsa'))
  const schemes = [SignatureScheme.rsa_pss_rsae_sha256, SignatureScheme.rsa_pss_rsae_sha512]
  const wishes = { ...ANYTHING, schemes, certificateTypes: [CertificateType.RawPublicKey] }
  assert.equal(suitableCredential(rsa, wishes, 'server').scheme.name, 'rsa_pss_rsae_sha256')
  const signatureSchemes = ['rsa_pss_rsae_sha512', 'rsa_pss_rsae_sha256'] as const
  const own = { ...rsa, signatureSchemes }
  assert.equal(suitableCredential(own, wishes, 'server').scheme.name, 'rsa_pss_rsae_sha512')
})

test('suitableCredential signs with no hash that is too long for the key', () => {
  // RFC 8017 §9.1.1: 1,024 bits have no room for two times the 64 bytes of SHA-512, and two more.
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const short = rawCredential(crypto.importPrivateKey(privateKey.export({ format: 'der', type: 'pkcs8' })))
  const { rsa_pss_rsae_sha384: sha384, rsa_pss_rsae_sha512: sha512 } = SignatureScheme
  const wishes = { ...ANYTHING, schemes: [sha512], certificateTypes: [CertificateType.RawPublicKey] }
  assert.throws(() => suitableCredential(short, wishes, 'server'), {
    code: 'TLS_NO_COMMON_SIGNATURE_SCHEME',
  })
  const both = { ...wishes, schemes: [sha512, sha384] }
  assert.equal(suitableCredential(short, both, 'server').scheme.code, sha384)
})

function rawCredential(key: PrivateKey): RawPublicKeyCredential {
  return { rawPublicKey: key.publicKey.spki, key }
}

test('suitableCredential signs with rsa_pkcs1_sha256_legacy for clients only, when told to', () => {
  const rsa = { chain: workloads.client.chain, key: newKey('rsa') }
  const told = { ...rsa, signatureSchemes: ['rsa_pkcs1_sha256_legacy'] } as const
  const wishes = { ...ANYTHING, schemes: [SignatureScheme.rsa_pkcs1_sha256_legacy] }
  assert.equal(suitableCredential(told, wishes, 'client').scheme.name, 'rsa_pkcs1_sha256_legacy')
  const none = { code: 'TLS_NO_COMMON_SIGNATURE_SCHEME' }
  assert.throws(() => suitableCredential(told, wishes, 'server'), none)
  assert.throws(() => suitableCredential(rsa, wishes, 'client'), none)
})

test('suitableCredential prefers one of an authority that the peer names, and else shows the first', () => {
  const both = [stranger, workloads.client]
  const names = (root: typeof other.root): Uint8Array[] => [root.certificate.subject.der]
  assert.equal(chosen(both, { certificateAuthorities: names(workloads.domain.root) }), workloads.client)
  assert.equal(chosen(both, { certificateAuthorities: names(other.root) }), stranger)
  assert.equal(chosen(both, { certificateAuthorities: [Uint8Array.of(0x30, 0)] }), stranger)
  assert.equal(chosen(both, {}), stranger)
})

test('suitableCredential keeps what is only for named issuers from everyone else', () => {
  const guarded = { ...stranger, onlyForNamedIssuers: true }
  const named = { certificateAuthorities: [other.root.certificate.subject.der] }
  assert.equal(chosen([guarded, workloads.client], named), guarded)
  assert.equal(chosen([guarded, workloads.client], {}), workloads.client)
  assert.throws(() => chosen([guarded], {}), { code: 'TLS_NO_MATCHING_ISSUER' })
})

test('suitableCredential prefers certificates that are signed as the peer likes, and shows others if it must', async () => {
  const root = await mintRoot({ nowMs: NOW_MS, key: newKey('ed25519'), commonName: 'edwards' })
  const signed = await mintSvid(
    await mintIntermediate(root, { nowMs: NOW_MS, key: newKey('ed25519') }),
    CLIENT_ID,
    {
      nowMs: NOW_MS,
    },
  )
  const both = [signed, workloads.client]
  assert.equal(chosen(both, {}), signed)
  assert.equal(chosen(both, { certificateSchemes: [ecdsa] }), workloads.client)
  assert.equal(chosen([signed], { certificateSchemes: [ecdsa] }), signed)
  // An authority that the peer names counts for more.
  const certificateAuthorities = [root.certificate.subject.der]
  assert.equal(chosen(both, { certificateAuthorities, certificateSchemes: [ecdsa] }), signed)
})

test('TlsConnection as client shows the SVID of the trust domain that the server trusts', () => {
  const asked: CredentialWishes[] = []
  const credential = (wishes: CredentialWishes): Credential[] => {
    asked.push(wishes)
    return [stranger, workloads.client]
  }
  const authorities = [workloads.domain.root.certificate.subject.der]
  using pair = established(workloads, {
    client: { credential },
    server: { clientVerifier: { ...verifierFor(workloads), authorities } },
  })
  assert.equal(pair.client.session!.credential, workloads.client)
  assert.equal(pair.server.session!.peer!.path[0]!.serialNumber, workloads.client.certificate.serialNumber)
  assert.deepEqual(
    asked.map(({ serverName, certificateAuthorities }) => [serverName, certificateAuthorities]),
    [[undefined, authorities]],
  )
})

test('TlsConnection as server has a choice of key among the certificates for one name', () => {
  const server = { credential: [workloads.server, edwards] }
  using first = established(workloads, { server })
  assert.equal(first.server.session!.credential, workloads.server)
  using second = established(workloads, { server, client: { signatureSchemes: ['ed25519'] } })
  assert.equal(second.server.session!.credential, edwards)
  assert.equal(second.client.session!.peerSignatureScheme, 'ed25519')
})

test('TlsConnection as server takes the chosen credentials for a name, or refuses it', () => {
  const credential = (wishes: CredentialWishes): readonly Credential[] | undefined =>
    chooseCredential([cart!, orders!], wishes)
  const verifier: CertificateVerifier = {
    verify: (path) => ({ name: 'whoever it is', expiresAtMs: NOW_MS, path }),
  }
  using pair = established(workloads, {
    client: { serverName: 'orders.example', verifier },
    server: { credential },
  })
  assert.equal(pair.server.session!.credential, orders)
  using refused = new TlsPair(workloads, {
    client: { serverName: 'nobody.example', verifier },
    server: { credential },
  }).run()
  assertRefused(refused, 'server', {
    code: 'TLS_UNRECOGNIZED_NAME',
    alert: 'unrecognized_name',
    evidence: /nobody\.example/,
  })
})
