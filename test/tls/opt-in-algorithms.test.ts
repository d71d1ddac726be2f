/** Groups and signature schemes that nobody is offered unasked. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { GroupName, KeyKind, PrivateKey } from '../../src/crypto/provider.ts'
import type { SignatureSchemeName } from '../../src/tls/registry.ts'
import { assertRefused, established } from '../support/tls-outcome.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

const PROVIDERS = [nativeCrypto(), portableCrypto()]

const GROUPS: readonly GroupName[] = [
  'secp521r1',
  'MLKEM768',
  'MLKEM1024',
  'SecP256r1MLKEM768',
  'SecP384r1MLKEM1024',
]

const SCHEMES = {
  ecdsa_secp521r1_sha512: 'ec-p521',
  mldsa44: 'ml-dsa-44',
  mldsa65: 'ml-dsa-65',
  mldsa87: 'ml-dsa-87',
} as const satisfies Partial<Record<SignatureSchemeName, KeyKind>>

const workloads = await mintWorkloads()
const schemes = await Promise.all(
  (Object.keys(SCHEMES) as (keyof typeof SCHEMES)[]).map(async (scheme) => ({
    scheme,
    workloads: await mintWorkloads(SCHEMES[scheme]),
  })),
)

for (const client of PROVIDERS) {
  for (const server of PROVIDERS) {
    const who = `${client.name} client, ${server.name} server`

    test(`TlsConnection agrees on every opt-in group, with and without another hello (${who})`, () => {
      for (const group of GROUPS) {
        for (const keyShares of [[group], []]) {
          using pair = established(workloads, {
            client: { crypto: client, groups: ['x25519', group], keyShares },
            server: { crypto: server, groups: [group] },
          })
          for (const { session } of pair.ends) assert.equal(session!.group, group)
          assert.deepEqual(pair.client.keyLog, pair.server.keyLog)
        }
      }
    })

    test(`TlsConnection authenticates both sides by every opt-in scheme (${who})`, () => {
      for (const { scheme, workloads } of schemes) {
        const signatureSchemes = ['ed25519', scheme] as const
        using pair = established(workloads, {
          client: { crypto: client, signatureSchemes, credential: held(workloads.client, client) },
          server: { crypto: server, signatureSchemes, credential: held(workloads.server, server) },
        })
        for (const { session } of pair.ends) assert.equal(session!.peerSignatureScheme, scheme)
      }
    })
  }
}

test('TlsConnection offers none of them, and takes none, unless told to', () => {
  using pair = established(workloads, {})
  const hello = pair.client.trace.find((event) => event.kind === 'message')!.details
  assert.equal(hello.message, 'client_hello')
  const request = pair.client.trace
    .filter((event) => event.kind === 'message')
    .map(({ details }) => details)
    .find(({ message }) => message === 'certificate_request')!
  assert.equal(request.message, 'certificate_request')
  for (const group of GROUPS) assert.ok(!hello.groups.includes(group), group)
  for (const scheme of [...Object.keys(SCHEMES), 'rsa_pkcs1_sha256_legacy']) {
    assert.ok(!hello.signatureSchemes.includes(scheme), scheme)
    assert.ok(!request.signatureSchemes.includes(scheme), scheme)
  }
})

test('TlsConnection refuses to go on when its only certificate is of a kind that the peer did not ask for', () => {
  for (const { workloads } of schemes) {
    using pair = new TlsPair(workloads).run()
    assertRefused(pair, 'server', {
      code: 'TLS_NO_COMMON_SIGNATURE_SCHEME',
      alert: 'handshake_failure',
      evidence: /our (ec-p521|ml-dsa-\d\d) key makes none of them/,
    })
  }
})

test('TlsConnection refuses a signature by an opt-in scheme that is not over its transcript', () => {
  for (const { scheme, workloads } of schemes) {
    const { key } = workloads.server
    const sign: PrivateKey['sign'] = (parameters, content) => key.sign(parameters, content.toReversed())
    using pair = new TlsPair(workloads, {
      client: { signatureSchemes: [scheme] },
      server: { credential: { ...workloads.server, key: { kind: key.kind, sign } } },
    }).run()
    assertRefused(pair, 'client', {
      code: 'TLS_BAD_SIGNATURE',
      alert: 'decrypt_error',
      evidence: new RegExp(`CertificateVerify \\(${scheme}\\)`),
    })
  }
})

test('TlsConnection takes rsa_pkcs1_sha256_legacy of clients that are told to sign with it, and of no one else', async () => {
  const rsa = await mintWorkloads('rsa')
  const signatureSchemes = ['rsa_pkcs1_sha256_legacy'] as const
  const told = { ...rsa.client, signatureSchemes }
  for (const crypto of PROVIDERS) {
    using pair = established(rsa, { client: { credential: told }, server: { crypto, signatureSchemes } })
    assert.equal(pair.server.session!.peerSignatureScheme, 'rsa_pkcs1_sha256_legacy')
    assert.equal(pair.client.session!.peerSignatureScheme, 'rsa_pss_rsae_sha256')
  }
  const refusals: readonly TlsPairOptions[] = [
    { server: { signatureSchemes } },
    { client: { credential: told } },
    { server: { credential: { ...rsa.server, signatureSchemes } } },
  ]
  for (const options of refusals) {
    using pair = new TlsPair(rsa, options).run()
    assert.ok(
      [pair.client, pair.server].some(({ error }) => error?.code === 'TLS_NO_COMMON_SIGNATURE_SCHEME'),
    )
  }
  using misled = new TlsPair(rsa, { client: { signatureSchemes } })
  assert.throws(() => misled.start(), { code: 'TLS_BAD_OPTIONS' })
})

/** The portable provider signs with keys of its own. */
function held(
  { chain, key }: (typeof workloads)['client'],
  crypto: (typeof PROVIDERS)[number],
): Pick<typeof workloads.client, 'chain' | 'key'> {
  return { chain, key: crypto.importPrivateKey(key.exportPkcs8()) }
}
