import assert from 'node:assert/strict'
import test from 'node:test'
import { AlertDescription, type AlertName } from '../../src/tls/alerts.ts'
import { CATALOG, WEB, type MeshFiles } from '../cmd/tls-files.ts'
import { PeerProcess, probe, startHandfast } from '../support/peers.ts'
import { alertNumberIn, opensslFlags } from './peers/openssl.ts'
import {
  checkClientRefused,
  checkServerRefused,
  refusalFiles,
  SECRET,
  type RefusalFiles,
} from './refusals.ts'
import { reportIn } from './reports.ts'
import { connectTo, opensslClient, opensslServer, serveOnce, WITHOUT_OPENSSL } from './tools.ts'

interface Row {
  readonly what: string
  /** Of the OpenSSL peer. */
  readonly flags: (files: RefusalFiles) => readonly string[]
  /** What the operator of our side reads first. */
  readonly cause: string
  /** What OpenSSL is told. */
  readonly alert: AlertName
}

const showing =
  (credential: (files: RefusalFiles) => MeshFiles['web']) =>
  (files: RefusalFiles): string[] =>
    opensslFlags(files, credential(files))

const EXPIRED: Row = {
  what: 'whose certificate has expired',
  flags: showing(({ expired }) => expired),
  cause: 'PKI_EXPIRED',
  alert: 'certificate_expired',
}
const NOT_YET_VALID: Row = {
  what: 'whose certificate is not yet valid',
  flags: showing(({ notYetValid }) => notYetValid),
  cause: 'PKI_NOT_YET_VALID',
  alert: 'certificate_expired',
}
const OF_ANOTHER_AUTHORITY: Row = {
  what: 'of another authority',
  flags: showing(({ wrongCa }) => wrongCa),
  cause: 'PKI_UNKNOWN_ISSUER',
  alert: 'unknown_ca',
}
const WITH_TWO_URIS: Row = {
  what: 'with two URIs in its certificate',
  flags: showing(({ twoUris }) => twoUris),
  cause: 'IDENTITY_AMBIGUOUS',
  alert: 'bad_certificate',
}

const CLIENTS: readonly Row[] = [
  EXPIRED,
  NOT_YET_VALID,
  OF_ANOTHER_AUTHORITY,
  WITH_TWO_URIS,
  {
    what: 'without certificate',
    flags: ({ ca }) => ['-CAfile', ca],
    cause: 'TLS_CERTIFICATE_REQUIRED',
    alert: 'certificate_required',
  },
  {
    what: 'that speaks TLS 1.2 at most',
    flags: (files) => ['-tls1_2', ...opensslFlags(files, files.web)],
    cause: 'TLS_NO_COMMON_VERSION',
    alert: 'protocol_version',
  },
]

test('tls serve refuses a client of OpenSSL', { concurrency: 2, skip: WITHOUT_OPENSSL }, async (t) => {
  const files = await refusalFiles(t)
  await Promise.all(
    CLIENTS.map(({ what, flags, cause, alert }) =>
      t.test(`${what}: ${cause}, ${alert}`, async (t) => {
        const server = await serveOnce(t, files.catalog, ['--ca', files.ca, '--require-client-cert'])
        const client = opensslClient(t, server.port, flags(files))
        client.write(SECRET)
        const { code, stdout, stderr } = await client.ended()
        assert.equal(alertNumberIn(stderr), AlertDescription[alert], stderr)
        assert.notEqual(code, 0)
        assert.doesNotMatch(stdout, new RegExp(`^${SECRET}`, 'm'))
        const result = await server.process.ended()
        checkServerRefused(result, cause)
        const { outcome, failure } = reportIn(result.stdout)
        assert.equal(outcome, 'refused')
        assert.deepEqual(failure?.alert, { description: alert, from: 'server' })
      }),
    ),
  )
})

/** Whom the client expects, by flags. */
const EXPECTING_WEB = (files: RefusalFiles): string[] => ['--ca', files.ca, '--spiffe-id', WEB]
const EXPECTING_LOCALHOST = (files: RefusalFiles): string[] => ['--ca', files.ca, '--servername', 'localhost']

const SERVERS: readonly (Row & { readonly expecting: (files: RefusalFiles) => readonly string[] })[] = [
  { ...EXPIRED, expecting: EXPECTING_WEB },
  { ...EXPIRED, expecting: EXPECTING_LOCALHOST },
  { ...NOT_YET_VALID, expecting: EXPECTING_WEB },
  { ...NOT_YET_VALID, expecting: EXPECTING_LOCALHOST },
  { ...OF_ANOTHER_AUTHORITY, expecting: EXPECTING_WEB },
  { ...OF_ANOTHER_AUTHORITY, expecting: EXPECTING_LOCALHOST },
  { ...WITH_TWO_URIS, expecting: EXPECTING_WEB },
  {
    what: 'with the SPIFFE ID of another workload',
    flags: showing(({ otherWorkload }) => otherWorkload),
    expecting: EXPECTING_WEB,
    cause: 'IDENTITY_MISMATCH',
    alert: 'bad_certificate',
  },
  {
    what: 'with a SPIFFE ID that differs in case',
    flags: showing(({ catalog }) => catalog),
    expecting: ({ ca }) => ['--ca', ca, '--spiffe-id', CATALOG.replace('catalog', 'Catalog')],
    cause: 'IDENTITY_MISMATCH',
    alert: 'bad_certificate',
  },
  {
    what: 'that claims a foreign trust domain under our root',
    flags: showing(({ foreign }) => foreign),
    expecting: EXPECTING_WEB,
    cause: 'IDENTITY_UNKNOWN_TRUST_DOMAIN',
    alert: 'bad_certificate',
  },
  {
    what: 'with a certificate for another host name',
    flags: showing(({ otherWorkload }) => otherWorkload),
    expecting: EXPECTING_LOCALHOST,
    cause: 'PKI_NAME_MISMATCH',
    alert: 'bad_certificate',
  },
]

test('tls connect refuses a server of OpenSSL', { concurrency: 2, skip: WITHOUT_OPENSSL }, async (t) => {
  const files = await refusalFiles(t)
  await Promise.all(
    SERVERS.map(({ what, flags, expecting, cause, alert }) =>
      t.test(`${what}, expecting ${expecting(files)[3]}: ${cause}, ${alert}`, async (t) => {
        const server = await opensslServer(t, flags(files))
        const client = connectTo(t, server.port, expecting(files), files.web)
        client.end(SECRET)
        checkClientRefused(await client.ended(), cause)
        const { stdout, stderr } = await server.process.ended()
        assert.equal(alertNumberIn(stderr), AlertDescription[alert], stderr)
        assert.doesNotMatch(stdout, new RegExp(SECRET))
      }),
    ),
  )
})

const REFUSING_SERVERS = [
  {
    what: 'does not know our authority',
    flags: ({ otherCa, catalog }: RefusalFiles) => [
      ...opensslFlags({ ca: otherCa }, catalog),
      '-Verify',
      '4',
    ],
    as: ({ web }: RefusalFiles): readonly string[] => web,
    alert: 'unknown_ca',
    remedy: /trust bundle/,
  },
  {
    what: 'demands a certificate that we do not have',
    flags: (files: RefusalFiles) => [...opensslFlags(files, files.catalog), '-Verify', '4'],
    as: (): readonly string[] => [],
    alert: 'certificate_required',
    remedy: /Give our side a certificate/,
  },
  {
    what: 'sees that our certificate has expired',
    flags: (files: RefusalFiles) => [...opensslFlags(files, files.catalog), '-Verify', '4'],
    as: ({ expired }: RefusalFiles): readonly string[] => expired,
    alert: 'certificate_expired',
    remedy: /\S/,
  },
  {
    what: 'speaks TLS 1.2 at most',
    flags: (files: RefusalFiles) => [...opensslFlags(files, files.catalog), '-tls1_2'],
    as: ({ web }: RefusalFiles): readonly string[] => web,
    alert: 'protocol_version',
    remedy: /Turn TLS 1\.3 on/,
  },
]

test(
  'tls connect says why it was refused by an OpenSSL that',
  { concurrency: 2, skip: WITHOUT_OPENSSL },
  async (t) => {
    const files = await refusalFiles(t)
    await Promise.all(
      REFUSING_SERVERS.map(({ what, flags, as, alert, remedy }) =>
        t.test(`${what}: ${alert}`, async (t) => {
          const server = await opensslServer(t, flags(files))
          const client = connectTo(
            t,
            server.port,
            '--ca',
            files.ca,
            '--servername',
            'localhost',
            '--json',
            as(files),
          )
          client.end(SECRET)
          const { code, stdout, stderr } = await client.ended()
          assert.deepEqual([code, stdout], [1, ''])
          const { outcome, failure } = reportIn(stderr)
          assert.equal(outcome, 'refused')
          assert.equal(failure?.code, 'TLS_PEER_ALERT')
          assert.equal(failure.refusedBy, 'server')
          assert.deepEqual(failure.alert, { description: alert, from: 'server' })
          assert.match(failure.remedy, remedy)
          assert.doesNotMatch((await server.process.ended()).stdout, new RegExp(SECRET))
        }),
      ),
    )
  },
)

test(
  'tls serve says why an OpenSSL that does not know our authority left: unknown_ca',
  { skip: WITHOUT_OPENSSL },
  async (t) => {
    const files = await refusalFiles(t)
    const server = await serveOnce(t, files.catalog)
    const client = opensslClient(t, server.port, ['-CAfile', files.otherCa, '-verify_return_error'])
    client.write(SECRET)
    assert.match((await client.ended()).stderr, /unable to get local issuer certificate/)
    const result = await server.process.ended()
    checkServerRefused(result, 'TLS_PEER_ALERT')
    const { failure } = reportIn(result.stdout)
    assert.deepEqual(failure?.alert, { description: 'unknown_ca', from: 'client' })
    assert.match(failure.remedy, /Give the peer our trust bundle/)
  },
)

const GNUTLS = probe('gnutls-cli', ['--version'], /gnutls-cli (\S+)/)

test(
  'tls serve refuses a client of GnuTLS that signs with another key: TLS_BAD_SIGNATURE, decrypt_error',
  { skip: typeof GNUTLS === 'string' ? GNUTLS : false },
  async (t) => {
    assert.ok(typeof GNUTLS !== 'string')
    const files = await refusalFiles(t)
    const server = await serveOnce(t, files.catalog, ['--ca', files.ca, '--require-client-cert'])
    const client = new PeerProcess(t, GNUTLS.path, [
      // A certificate that everybody can have, and a key that is not the one in it.
      ['--x509cafile', files.ca, '--x509certfile', files.web[1], '--x509keyfile', files.otherWorkload[3]],
      ['--port', String(server.port), 'localhost'],
    ])
    client.write(SECRET)
    const { stdout, stderr } = await client.ended()
    assert.match(stdout + stderr, /Received alert \[51\]/)
    assert.doesNotMatch(stdout, new RegExp(`^${SECRET}`, 'm'))
    checkServerRefused(await server.process.ended(), 'TLS_BAD_SIGNATURE')
  },
)

test('tls serve and tls connect refuse at start a key that is not that of the certificate', async (t) => {
  const files = await refusalFiles(t)
  const mismatched = ['--cert', files.web[1], '--key', files.otherWorkload[3]]
  for (const args of [
    ['tls', 'serve', '--listen', '127.0.0.1:0', ...mismatched],
    ['tls', 'connect', '127.0.0.1:9', '--ca', files.ca, ...mismatched],
  ]) {
    const { code, stderr } = await startHandfast(t, args).ended()
    assert.equal(code, 2, stderr)
    assert.match(stderr, /CONFIG_INVALID: \S*other-workload\.key --key: expected the private key of .*, got/)
  }
})
