import assert from 'node:assert/strict'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { httpsRequest } from '../../src/ca/https-request.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { decodeBundleDocument } from '../../src/identity/bundle-document.ts'
import { httpApp } from '../support/apps.ts'
import { mintLeaf, mintRoot, pemOf } from '../support/certificates.ts'
import { fetchFrom } from '../support/proxy-world.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Cli, runCli } from './cli.ts'
import { DOMAIN, line, lines, listenerOf, type Mesh, startMesh } from './mesh.ts'

const PARTNER = 'partner.example'
const CHANGED = 'The bundle of a federated trust domain changed'

/** More than any step takes; each is looked for until it is there. */
const DEADLINE_MS = 30_000

/** Looks until something holds. @throws when it does not come to hold */
async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (const endMs = Date.now() + DEADLINE_MS; Date.now() < endMs; await delay(50)) if (await holds()) return
  assert.fail('It did not come to hold')
}

const ENDPOINT = 'bundleEndpoint: { listen: 127.0.0.1:0, refreshHint: 1s }'

/** YAML of a federation with a partner whose endpoint is known by its SPIFFE ID. */
function federationWith(domain: string, url: string, bundleFile: string): string {
  return `  federation:
    ${ENDPOINT}
    trustDomains:
      - trustDomain: ${domain}
        bundleUrl: ${url}
        spiffeId: spiffe://${domain}/ns/handfast-system/sa/controller
        bundleFile: ${bundleFile}`
}

async function endpointOf({ cli }: Mesh): Promise<string> {
  return `https://${String((await line(cli, 'ready'))['bundleEndpoint'])}/`
}

function rootsOf({ directory }: Mesh): string {
  return join(directory, 'state', 'trust-bundle.pem')
}

test('two controllers federate by their SPIFFE IDs: workloads of both trust domains speak under policy, through a rotation, until it ends', async (t) => {
  const app = await httpApp(t, (incoming, response) => {
    response.end(String(incoming.headers['x-forwarded-client-cert']))
  })
  const own = await startMesh(t, undefined, { spec: `  federation: { ${ENDPOINT} }` })
  const ownUrl = await endpointOf(own)
  const partner = await startMesh(t, undefined, {
    domain: PARTNER,
    spec: federationWith(DOMAIN, ownUrl, rootsOf(own)),
  })
  const partnerUrl = await endpointOf(partner)

  const catalog = await partner.sidecar(
    'catalog',
    `  inbound: [{ name: catalog, listen: 127.0.0.1:0, forward: 127.0.0.1:${app.address.port}, protocol: http }]`,
  )
  const gate = listenerOf(await line(catalog, 'ready'), 'catalog')
  const peer = `spiffe://${PARTNER}/ns/shop/sa/catalog`
  const sidecarOf = async (name: string) => {
    const cli = await own.sidecar(
      name,
      `  outbound: [{ name: out, listen: 127.0.0.1:0, connect: "127.0.0.1:${gate.port}", peer: "${peer}", protocol: http }]`,
    )
    return listenerOf(await line(cli, 'ready'), 'out')
  }
  const [web, stranger] = [await sidecarOf('web'), await sidecarOf('stranger')]
  const ask = async (entry = web): Promise<number> => (await fetchFrom(entry, { path: '/items/1' })).status

  // Ours does not know theirs yet.
  assert.equal(await ask(), 502)
  const federation = federationWith(PARTNER, partnerUrl, rootsOf(partner))
  await own.reconfigure(federation)
  await eventually(async () => (await ask()) === 200)
  const { text } = await fetchFrom(web, { path: '/items/1' })
  assert.equal(text, `By=${peer};URI=spiffe://${DOMAIN}/ns/shop/sa/web`)
  // Known is not allowed.
  assert.equal(await ask(stranger), 403)

  // A root is published before it is used, and what was published is what the other one has by then.
  const rotate = async (action: string): Promise<string> => {
    const place = ['--state-dir', join(own.directory, 'state')]
    const { code, stdout, stderr } = await runCli(t, ['ca', 'rotate', action, ...place, '--json'])
    return code === 0 ? stdout : stderr
  }
  const sequences = (): unknown[] => lines(partner.cli, CHANGED).map((entry) => entry['sequence'])
  assert.match(await rotate('prepare'), /"stage": "prepared"/)
  assert.match(
    await rotate('activate'),
    /CA_ROTATION_WAITS: .*other trust domains may look at our bundle until/,
  )
  await eventually(async () => sequences().includes(2))
  await eventually(async () => /"stage": "active"/.test(await rotate('activate')))
  assert.equal(await ask(), 200)

  // Theirs does not know ours any more: it ends, also for those who were connected.
  await partner.reconfigure(`  federation: { ${ENDPOINT} }`)
  await eventually(async () => (await ask()) === 502)
  await assert.rejects(stat(join(partner.directory, 'state', 'federation', `${DOMAIN}.json`)), {
    code: 'ENOENT',
  })
})

test('a controller publishes its own bundle under a number that outlives it, and keeps the last good one of another trust domain', async (t) => {
  const directory = await temporaryDirectory(t)
  const root = await mintRoot({ uris: [`spiffe://${PARTNER}`] })
  const file = join(directory, 'partner.pem')
  await writeFile(file, pemOf(root).cert)
  const web = await mintRoot({ commonName: 'web', uris: [] })
  const { cert, key } = pemOf(await mintLeaf(web))
  const [certificateFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  await writeFile(certificateFile, cert)
  await writeFile(keyFile, key, { mode: 0o600 })
  const mesh = await startMesh(t, undefined, {
    spec: `  federation:
    bundleEndpoint: { listen: 127.0.0.1:0, certificateFile: ${certificateFile}, keyFile: ${keyFile} }
    trustDomains: [{ trustDomain: ${PARTNER}, bundleFile: ${file} }]`,
  })
  await line(mesh.cli, CHANGED)
  const url = await endpointOf(mesh)
  const published = async (from = url) => {
    const { status, text } = await httpsRequest(from, { ca: pemOf(web).cert })
    assert.equal(status, 200)
    return decodeBundleDocument(text, { trustDomain: DOMAIN, crypto: nativeCrypto() })
  }
  // Only ours is published: everybody speaks for themselves.
  const { bundle, sequence, refreshHintSeconds } = await published()
  assert.deepEqual([bundle!.anchors.length, sequence, refreshHintSeconds], [1, 1, 300])
  assert.equal((await published()).sequence, 1)
  assert.equal((await httpsRequest(`${url}other`, { ca: pemOf(web).cert })).status, 404)

  mesh.cli.child.kill('SIGTERM')
  await mesh.cli.ended()
  const again = new Cli(t, ['controller', '--config', join(mesh.directory, 'controller.yaml')])
  const ready = await line(again, 'ready')
  assert.equal((await published(`https://${String(ready['bundleEndpoint'])}/`)).sequence, 1)

  const stored = join(mesh.directory, 'state', 'federation', `${PARTNER}.json`)
  assert.equal((await stat(stored)).mode & 0o777, 0o600)
  await rm(file)
  await line(again, 'The bundle of a federated trust domain cannot be refreshed; the last good one stays')
  const document = decodeBundleDocument(await readFile(stored, 'utf8'), {
    trustDomain: PARTNER,
    crypto: nativeCrypto(),
  })
  assert.deepEqual(document.bundle!.anchors[0]!.der, root.certificate.der)
})
