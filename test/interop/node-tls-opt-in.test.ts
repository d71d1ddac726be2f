/** Groups and signatures that are opt-in here, with node:tls, whose OpenSSL (3.5 or later) has them all. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { connect, createServer, type SecureContextOptions } from 'node:tls'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { GroupName, KeyKind } from '../../src/crypto/provider.ts'
import type { SignatureSchemeName } from '../../src/tls/registry.ts'
import { CATALOG, meshFiles, WEB } from '../cmd/tls-files.ts'
import { reportIn } from './reports.ts'
import { connectTo, serveOnce } from './tools.ts'

interface Trial {
  readonly group: GroupName
  readonly kind: Exclude<KeyKind, 'rsa'>
  readonly scheme: SignatureSchemeName
}

/** Each group and each scheme once. */
const TRIALS: readonly Trial[] = [
  { group: 'secp521r1', kind: 'ec-p521', scheme: 'ecdsa_secp521r1_sha512' },
  { group: 'MLKEM768', kind: 'ml-dsa-44', scheme: 'mldsa44' },
  { group: 'SecP256r1MLKEM768', kind: 'ml-dsa-65', scheme: 'mldsa65' },
  { group: 'MLKEM1024', kind: 'ml-dsa-87', scheme: 'mldsa87' },
  { group: 'SecP384r1MLKEM1024', kind: 'ml-dsa-87', scheme: 'mldsa87' },
]

for (const trial of TRIALS) {
  const { group, scheme } = trial
  const flags = ['--groups', group, '--signatures', scheme]

  test(`tls serve and node:tls agree on ${group} and prove themselves by ${scheme}`, async (t) => {
    const { ca, catalog, options } = await credentials(t, trial)
    const server = await serveOnce(t, [...catalog, '--ca', ca, '--require-client-cert', ...flags])
    const socket = connect({ ...options, port: server.port, host: '127.0.0.1', servername: 'localhost' })
    t.after(() => socket.destroy())
    await once(socket, 'secureConnect')
    socket.end('said by Node')
    assert.equal(await text(socket), 'said by Node')
    const { code, stdout, stderr } = await server.process.ended()
    assert.equal(code, 0, stderr)
    checkReport(stdout, trial, WEB)
  })

  test(`tls connect and node:tls agree on ${group} and prove themselves by ${scheme}`, async (t) => {
    const { ca, web, options } = await credentials(t, trial)
    const server = createServer({ ...options, requestCert: true }, (socket) => {
      socket.pipe(socket)
    }).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const who = ['--servername', 'localhost', '--ca', ca, '--spiffe-id', CATALOG]
    const client = connectTo(t, port, who, web, flags, ['--json'])
    client.write('said to Node\n')
    await client.saw(/^said to Node\n$/, 'stdout')
    client.end()
    const { code, stderr } = await client.ended()
    assert.equal(code, 0, stderr)
    checkReport(stderr, trial, CATALOG)
  })
}

/** Both workloads with keys of the kind, and what node:tls makes of the one that it plays. */
async function credentials(t: TestContext, { group, kind }: Trial) {
  const files = await meshFiles(t)
  const names = { dnsNames: ['localhost'] }
  const newKey = () => nativeCrypto().generateKey(kind)
  const catalog = await files.issue('catalog-of-kind', CATALOG, { ...names, key: newKey() })
  const web = await files.issue('web-of-kind', WEB, { key: newKey() })
  const [, cert, , key] = t.name.startsWith('tls serve') ? web : catalog
  const options: SecureContextOptions & { readonly rejectUnauthorized: true } = {
    ca: readFileSync(files.ca),
    cert: readFileSync(cert),
    key: readFileSync(key),
    minVersion: 'TLSv1.3',
    ecdhCurve: group,
    rejectUnauthorized: true,
  }
  return { ca: files.ca, catalog, web, options }
}

function checkReport(printed: string, { group, scheme }: Trial, peer: string): void {
  const report = reportIn(printed)
  assert.equal(report.settled.group, group)
  assert.equal(report.settled.peer?.name, peer)
  assert.ok(printed.includes(scheme), `No ${scheme} in ${printed}`)
}
