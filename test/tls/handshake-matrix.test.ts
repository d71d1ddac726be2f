import assert from 'node:assert/strict'
import test from 'node:test'
import { toHex, utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { GroupName, KeyKind } from '../../src/crypto/provider.ts'
import { CIPHER_SUITES } from '../../src/tls/registry.ts'
import { TlsPair } from '../support/tls-pair.ts'
import { CLIENT_ID, mintWorkloads, SERVER_ID } from '../support/tls-workloads.ts'

const KEY_KINDS = ['ec-p256', 'ec-p384', 'ed25519', 'rsa'] as const satisfies readonly KeyKind[]
const SCHEMES = {
  'ec-p256': 'ecdsa_secp256r1_sha256',
  'ec-p384': 'ecdsa_secp384r1_sha384',
  ed25519: 'ed25519',
  rsa: 'rsa_pss_rsae_sha256',
} as const
const GROUPS: readonly GroupName[] = ['X25519MLKEM768', 'x25519', 'secp256r1', 'secp384r1']
const PROVIDERS = [nativeCrypto(), portableCrypto()]

const workloadsByKind = await Promise.all(
  KEY_KINDS.map(async (kind) => ({ kind, workloads: await mintWorkloads(kind) })),
)

for (const client of PROVIDERS) {
  for (const server of PROVIDERS) {
    for (const group of GROUPS) {
      const missing = [client, server].find(({ groups }) => !groups.includes(group))
      test(
        `TlsConnection authenticates both sides over ${group} with every suite and kind of key (${client.name} client, ${server.name} server)`,
        { skip: missing === undefined ? false : `the ${missing.name} provider has no ${group}` },
        () => {
          for (const { name: suite } of CIPHER_SUITES) {
            for (const { kind, workloads } of workloadsByKind) {
              using pair = new TlsPair(workloads, {
                client: { crypto: client, groups: [group], suites: [suite] },
                server: { crypto: server },
              }).run()
              checkEstablished(pair, { suite, group, scheme: SCHEMES[kind] })
            }
          }
        },
      )
    }
  }
}

function checkEstablished(
  { client, server }: TlsPair,
  expected: { readonly suite: string; readonly group: string; readonly scheme: string },
): void {
  assert.deepEqual([client.calls, server.calls], [['established'], ['established']])
  for (const session of [client.session!, server.session!]) {
    assert.equal(session.version, 'TLS 1.3')
    assert.equal(session.cipherSuite, expected.suite)
    assert.equal(session.group, expected.group)
    assert.equal(session.peerSignatureScheme, expected.scheme)
  }
  assert.equal(client.session!.peer?.name, SERVER_ID)
  assert.equal(server.session!.peer?.name, CLIENT_ID)
  assert.deepEqual(client.keyLog, server.keyLog)
  assert.equal(client.keyLog.length, 5)
  const [ours, theirs] = [client, server].map(({ session }) =>
    toHex(session!.exportKeyingMaterial('EXPORTER-test', utf8('context'), 40)),
  )
  assert.equal(ours, theirs)
}
