import assert from 'node:assert/strict'
import test from 'node:test'
import { toHex, utf8 } from '../../src/bytes/bytes.ts'
import type { CredentialWishes } from '../../src/tls/options.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads, newKey, NOW_MS } from '../support/tls-workloads.ts'
import { mintSvid } from '../support/certificates.ts'

const workloads = await mintWorkloads()

/** Both sides are established, or the test fails showing what happened instead. */
function established(options: TlsPairOptions): TlsPair {
  const pair = new TlsPair(workloads, options).run()
  assert.deepEqual([pair.client.error, pair.server.error], [undefined, undefined])
  assert.deepEqual([pair.client.calls, pair.server.calls], [['established'], ['established']])
  return pair
}

/** One side refuses with `code`, the other learns `alert`, and neither was established. */
function refused(
  options: TlsPairOptions,
  by: 'client' | 'server',
  { code, alert, evidence }: { readonly code: string; readonly alert: string; readonly evidence: RegExp },
): void {
  using pair = new TlsPair(workloads, options).run()
  const [refusing, refusedPeer] = by === 'client' ? [pair.client, pair.server] : [pair.server, pair.client]
  assert.deepEqual(refusing.calls, [`failed ${code}`])
  assert.match(refusing.error!.message, evidence)
  assert.equal(refusing.error!.alert, alert)
  assert.equal(refusedPeer.error?.code, 'TLS_PEER_ALERT')
  assert.equal(refusedPeer.error.received, alert)
}

test('TlsConnection settles on the server’s preferred protocol among the client’s', () => {
  using pair = established({
    client: { alpn: ['http/1.1', 'h2'] },
    server: { alpn: ['h2', 'http/1.1'] },
  })
  assert.deepEqual([pair.client.session!.alpn, pair.server.session!.alpn], ['h2', 'h2'])
})

test('TlsConnection settles on no protocol when either side has none to offer', () => {
  for (const options of [{ client: { alpn: ['h2'] } }, { server: { alpn: ['h2'] } }, {}]) {
    using pair = established(options)
    assert.deepEqual([pair.client.session!.alpn, pair.server.session!.alpn], [undefined, undefined])
  }
})

test('TlsConnection as server refuses a client whose protocols have nothing in common with its own', () => {
  refused({ client: { alpn: ['imap', 'pop3'] }, server: { alpn: ['h2'] } }, 'server', {
    code: 'TLS_NO_APPLICATION_PROTOCOL',
    alert: 'no_application_protocol',
    evidence: /imap, pop3; spoken here: h2$/,
  })
})

test('TlsConnection as server chooses its credential by the name that the client asks for', async () => {
  const other = await mintSvid(workloads.domain.intermediate, 'spiffe://shop.example/ns/default/sa/cart', {
    nowMs: NOW_MS,
  })
  const asked: unknown[] = []
  const credential = ({ serverName: name }: CredentialWishes): typeof other => {
    asked.push(name)
    return name === 'cart.shop.example' ? other : workloads.server
  }
  using named = established({ client: { serverName: 'cart.shop.example' }, server: { credential } })
  assert.equal(named.client.session!.peer!.name, 'spiffe://shop.example/ns/default/sa/cart')
  assert.deepEqual(
    [named.client.session!.serverName, named.server.session!.serverName],
    ['cart.shop.example', 'cart.shop.example'],
  )
  using unnamed = established({ server: { credential } })
  assert.equal(unnamed.client.session!.peer!.name, 'spiffe://shop.example/ns/default/sa/orders')
  assert.equal(unnamed.server.session!.serverName, undefined)
  assert.deepEqual(asked, ['cart.shop.example', undefined])
})

test('TlsConnection as server refuses a name for which it has no credential', () => {
  const options = { client: { serverName: 'nobody.example' }, server: { credential: () => undefined } }
  refused(options, 'server', {
    code: 'TLS_UNRECOGNIZED_NAME',
    alert: 'unrecognized_name',
    evidence: /nobody\.example/,
  })
})

test('TlsConnection as server lets in a client without certificate only when told to', () => {
  const nothing = (): undefined => undefined
  using open = established({ client: { credential: nothing }, server: { allowAnonymousClient: true } })
  assert.deepEqual(
    [open.server.session!.peer, open.server.session!.peerSignatureScheme, open.client.session!.credential],
    [undefined, undefined, undefined],
  )
  refused({ client: { credential: nothing } }, 'server', {
    code: 'TLS_CERTIFICATE_REQUIRED',
    alert: 'certificate_required',
    evidence: /no certificate/,
  })
})

test('TlsConnection as client fails rather than go on anonymously with a credential that the server cannot use', () => {
  const unusable = { chain: workloads.client.chain, key: newKey('ed25519') }
  const onlyEcdsa = { signatureSchemes: ['ecdsa_secp256r1_sha256'], allowAnonymousClient: true } as const
  refused({ client: { credential: unusable }, server: onlyEcdsa }, 'client', {
    code: 'TLS_NO_COMMON_SIGNATURE_SCHEME',
    alert: 'handshake_failure',
    evidence: /our ed25519 key makes none/,
  })
})

test('TlsConnection as server knows a client that shows a certificate even where none is needed', () => {
  using pair = established({ server: { allowAnonymousClient: true } })
  assert.equal(pair.server.session!.peer!.name, 'spiffe://shop.example/ns/default/sa/web')
})

test('TlsConnection refuses a peer with no cipher suite in common', () => {
  const options = {
    client: { suites: ['TLS_AES_128_GCM_SHA256'] },
    server: { suites: ['TLS_AES_256_GCM_SHA384'] },
  } as const
  refused(options, 'server', {
    code: 'TLS_NO_COMMON_SUITE',
    alert: 'handshake_failure',
    evidence: /TLS_AES_128_GCM_SHA256; accepted here: TLS_AES_256_GCM_SHA384/,
  })
})

test('TlsConnection refuses a peer with no group in common', () => {
  refused({ client: { groups: ['x25519'] }, server: { groups: ['secp384r1', 'secp256r1'] } }, 'server', {
    code: 'TLS_NO_COMMON_GROUP',
    alert: 'handshake_failure',
    evidence: /groups x25519; accepted here: secp384r1, secp256r1/,
  })
})

test('TlsConnection as server refuses a client that accepts no signature of its key', () => {
  refused({ client: { signatureSchemes: ['ed25519', 'rsa_pss_rsae_sha256'] } }, 'server', {
    code: 'TLS_NO_COMMON_SIGNATURE_SCHEME',
    alert: 'handshake_failure',
    evidence: /ed25519, rsa_pss_rsae_sha256; our ec-p256 key/,
  })
})

test('TlsConnection as server prefers its own order of suites and of groups', () => {
  using pair = established({
    client: {
      suites: ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'],
      groups: ['x25519', 'secp256r1'],
    },
    server: {
      suites: ['TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
      groups: ['secp256r1', 'x25519'],
    },
  })
  assert.equal(pair.client.session!.cipherSuite, 'TLS_CHACHA20_POLY1305_SHA256')
  assert.equal(pair.client.session!.group, 'secp256r1')
})

test('TlsConnection as server leaves the choice among equal groups to the client, and no other', () => {
  const groups = ['secp256r1', 'x25519', 'secp384r1'] as const
  const equalGroups = ['x25519', 'secp256r1', 'secp521r1'] as const
  for (const [offered, expected] of [
    [['secp384r1', 'x25519', 'secp256r1'], 'x25519'],
    [['secp256r1', 'x25519', 'secp384r1'], 'secp256r1'],
    [['secp521r1', 'secp384r1', 'x25519'], 'x25519'],
    [['secp521r1', 'secp384r1'], 'secp384r1'],
  ] as const) {
    using pair = established({ client: { groups: offered }, server: { groups, equalGroups } })
    assert.equal(pair.client.session!.group, expected)
  }
})

test('TlsConnection exports keying material that depends on label, context and length', () => {
  using pair = established({})
  const material = (label: string, context: string, length: number): string =>
    toHex(pair.client.session!.exportKeyingMaterial(label, utf8(context), length))
  assert.equal(
    material('one', 'context', 32),
    toHex(pair.server.session!.exportKeyingMaterial('one', utf8('context'), 32)),
  )
  const all = [
    material('one', '', 32),
    material('two', '', 32),
    material('one', 'context', 32),
    material('one', '', 48),
  ]
  assert.equal(new Set(all.map((hex) => hex.slice(0, 64))).size, 4)
})

test('Session exports nothing once the connection is over, when its secret is wiped', () => {
  const pair = established({})
  const { session } = pair.client
  pair[Symbol.dispose]()
  assert.throws(() => session!.exportKeyingMaterial('one', new Uint8Array(0), 32), { code: 'TLS_MISUSE' })
})
