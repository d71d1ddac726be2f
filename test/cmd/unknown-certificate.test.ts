/** A certificate that somebody has signed with the controller's own key is found out by the proxy that meets it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { formatAddress } from '../../src/config/address.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { nodeTransport } from '../../src/net/node-transport.ts'
import { secureClient } from '../../src/net/secure-connection.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { issueCertificate, svidTemplate } from '../../src/pki/issue.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { decodePrivateKeyPem } from '../../src/pki/private-key.ts'
import { dial, outcomeOf, tcpApp } from '../support/apps.ts'
import { bundlesIn } from '../support/controller-process.ts'
import { Cli, runCli } from './cli.ts'
import { DOMAIN, line, lines, listenerOf, startMesh } from './mesh.ts'

const WEB = `spiffe://${DOMAIN}/ns/shop/sa/web`
const ALARM = 'A certificate is in use that no controller has recorded: somebody else signs with our key'
const crypto = nativeCrypto()

test('a controller is told of a certificate that it never issued, raises the alarm, and is not alarmed by its own', async (t) => {
  const app = await tcpApp(t, (socket) => socket.end('hello'))
  const mesh = await startMesh(t, '')
  const stateDir = join(mesh.directory, 'state')
  const catalog = await mesh.sidecar(
    'catalog',
    `  inbound: [{ name: in, listen: 127.0.0.1:0, forward: ${formatAddress(app.address)}, protocol: tcp }]`,
  )
  const gate = listenerOf(await line(catalog, 'ready'), 'in')
  const web = await mesh.sidecar(
    'web',
    `  outbound: [{ name: out, listen: 127.0.0.1:0, connect: ${formatAddress(gate)}, peer: "spiffe://${DOMAIN}/ns/shop/sa/catalog", protocol: tcp }]`,
  )
  const entry = listenerOf(await line(web, 'ready'), 'out')
  // A controller that has just started knows nothing but its journal.
  mesh.cli.child.kill('SIGKILL')
  await once(mesh.cli.child, 'exit')
  const config = join(mesh.directory, 'controller.yaml')
  const controller = new Cli(t, ['controller', '--config', config, '--listen', mesh.controller])
  await line(controller, 'ready')
  assert.equal((await outcomeOf(await dial(t, entry))).text, 'hello')

  const pem = await readFile(join(stateDir, 'ca/intermediate.pem'), 'utf8')
  const issuer = parseCertificate(decodePem(pem, 'CERTIFICATE')[0]!)
  const key = crypto.generateKey('ec-p256')
  const leaf = await issueCertificate(
    svidTemplate({
      id: WEB,
      publicKey: key.publicKey,
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 600_000,
    }),
    { issuer, signingKey: decodePrivateKeyPem(pem, crypto) },
  )
  const bundles = await bundlesIn(stateDir)
  const raw = await nodeTransport.connect(gate, { timeoutMs: 5_000 })
  t.after(() => raw.abort())
  await secureClient(
    raw,
    {
      crypto,
      nowMs: Date.now,
      verifier: svidVerifier({ bundles: () => bundles, crypto }),
      credential: { chain: [leaf, issuer], key },
    },
    { deadlineMs: 5_000 },
  )

  const alarm = await line(controller, ALARM)
  assert.equal(alarm['level'], 'error')
  const evidence = {
    spiffeId: WEB,
    serialNumber: leaf.serialNumber,
    certificateSha256: crypto.digest('sha256', leaf.der).toHex(),
    reportedBy: `spiffe://${DOMAIN}/ns/shop/sa/catalog`,
  }
  for (const [name, value] of Object.entries(evidence)) assert.equal(alarm[name], value, name)
  const found = await runCli(t, [
    'ca',
    'journal',
    'find',
    '--journal',
    stateDir,
    '--outcome',
    'alarm',
    '--json',
  ])
  const entries = found.stdout.trim().split('\n')
  assert.equal(entries.length, 1, found.stdout)
  assert.equal((JSON.parse(entries[0]!) as Record<string, unknown>)['serialNumber'], leaf.serialNumber)
  // Web, whose certificate catalog met as well, and catalog, whose web met, were issued by the run before.
  assert.equal(lines(controller, ALARM).length, 1)
})
