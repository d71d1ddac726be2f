/** The SPIFFE Workload API as go-spiffe, the standard's own library, sees it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { DOMAIN, line, listenerOf, type Mesh, startMesh } from '../cmd/mesh.ts'
import { dial, outcomeOf } from '../support/apps.ts'
import { PeerProcess } from '../support/peers.ts'
import { goModule } from './go-module.ts'

const { skip, build } = goModule('go-spiffe')

const CATALOG = `spiffe://${DOMAIN}/ns/shop/sa/catalog`
const WEB = `spiffe://${DOMAIN}/ns/shop/sa/web`

/** The program lives through a renewal. */
const DEADLINE_MS = 100_000

/** The program beside a sidecar of `catalog`, and what it says next after a command. */
async function startProgram(
  t: TestContext,
  mesh: Mesh,
): Promise<(command: string, answer: RegExp) => Promise<RegExpExecArray>> {
  const path = await build(t)
  const socket = join(mesh.directory, 'api', 'socket')
  const catalog = await mesh.sidecar(
    'catalog',
    `  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:8080, protocol: tcp }]
  workloadApi: { socket: ${socket} }`,
  )
  await line(catalog, 'ready')
  const program = new PeerProcess(t, path, [], {
    env: { SPIFFE_ENDPOINT_SOCKET: `unix://${socket}` },
    deadlineMs: DEADLINE_MS,
  })
  await program.saw(/^ready$/m)
  return async (command, answer) => {
    const from = program.stdout.length
    program.write(`${command}\n`)
    return program.saw(answer, 'stdout', from)
  }
}

test(
  'go-spiffe takes its identity from the Workload API, follows a renewal, and serves a sidecar with it',
  { skip },
  async (t) => {
    const mesh = await startMesh(t, undefined, { spec: '  svidTtl: 15s' })
    const ask = await startProgram(t, mesh)
    const shown = new RegExp(`^x509 ${CATALOG} ([0-9a-f]+) chain 2 anchors 1$`, 'm')
    const [, first] = await ask('x509', shown)

    const [, address] = await ask('serve', /^serving (\S+)$/m)
    const web = await mesh.sidecar(
      'web',
      `  outbound: [{ name: out, listen: 127.0.0.1:0, connect: "${address}", peer: "${CATALOG}" }]`,
    )
    const entry = listenerOf(await line(web, 'ready'), 'out')
    const greeting = async (): Promise<string> => (await outcomeOf(await dial(t, entry))).text
    assert.equal(await greeting(), `hello ${WEB}\n`)

    const [, second] = await ask(`wait ${first}`, shown)
    assert.notEqual(first, second)
    assert.equal(await greeting(), `hello ${WEB}\n`)
  },
)

test(
  'go-spiffe gets JWT-SVIDs, verifies them by the bundles it is given, and agrees with ValidateJWTSVID',
  { skip },
  async (t) => {
    const ask = await startProgram(t, await startMesh(t))
    const [, token, lives] = await ask('jwt catalog', new RegExp(`^jwt ${CATALOG} (\\S+) lives (\\d+)$`, 'm'))
    assert.ok(Number(lives) > 240 && Number(lives) <= 300)
    await ask(
      `validate catalog ${token}`,
      new RegExp(`^api accepts ${CATALOG}\nlibrary accepts ${CATALOG}$`, 'm'),
    )
    await ask(`validate bank ${token}`, /^api refuses .*\nlibrary refuses .*audience/m)
    const [header, claims] = token!.split('.')
    await ask(`validate catalog ${header}.${claims}.${'A'.repeat(86)}`, /^api refuses .*\nlibrary refuses /m)
  },
)

const CONTROLLER = `spiffe://${DOMAIN}/ns/handfast-system/sa/controller`
const PARTNER = 'partner.example'

test(
  'go-spiffe fetches our bundle by the profile https_spiffe, and publishes one that a controller takes',
  { skip },
  async (t) => {
    const endpoint = 'bundleEndpoint: { listen: 127.0.0.1:0, refreshHint: 1m }'
    const own = await startMesh(t, undefined, { spec: `  federation: { ${endpoint} }` })
    const url = `https://${String((await line(own.cli, 'ready'))['bundleEndpoint'])}/`
    const ask = await startProgram(t, own)
    const read = /^bundle example\.org sequence 1 hint 1m0s anchors 1 keys 1$/m
    await ask(`bundle ${DOMAIN} ${url} ${CONTROLLER}`, read)
    // Whom the endpoint must prove to be counts, and not where it is.
    await ask(`bundle ${DOMAIN} ${url} ${CATALOG}`, /^bundle refused /m)

    const partner = await startMesh(t, undefined, { domain: PARTNER })
    const askPartner = await startProgram(t, partner)
    const [, address] = await askPartner('publish', /^publishing (\S+)$/m)
    await own.reconfigure(`  federation:
    ${endpoint}
    trustDomains:
      - trustDomain: ${PARTNER}
        bundleUrl: https://${address}/
        spiffeId: spiffe://${PARTNER}/ns/shop/sa/catalog
        bundleFile: ${join(partner.directory, 'state', 'trust-bundle.pem')}`)
    const changed = await line(own.cli, 'The bundle of a federated trust domain changed')
    assert.deepEqual([changed['trustDomain'], changed['anchors']], [PARTNER, [`CN=${PARTNER} root`]])
  },
)
