import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { startWorkerThread } from '../../src/cmd/proxy/start-thread.ts'
import { Revocations } from '../../src/identity/revocations.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import { CertificateMemory } from '../../src/pki/certificate-memory.ts'
import type { MeshView } from '../../src/proxy/mesh-view.ts'
import { ProxyTickets, TICKET_SECRET_BYTES } from '../../src/proxy/tickets.ts'
import type { ServerTicketState } from '../../src/tls/session/resumption.ts'
import { dial, outcomeOf, tcpApp } from '../support/apps.ts'
import { mintTrustDomain } from '../support/certificates.ts'
import {
  allow,
  crypto,
  idOf,
  mint,
  policy,
  worldOf,
  type World,
  type WorldOptions,
} from '../support/proxy-world.ts'

async function greetingWorld(t: TestContext, options: Partial<WorldOptions> = {}): Promise<World> {
  const app = await tcpApp(t, (socket) => socket.end('hello'))
  return worldOf(t, { protocol: 'tcp', app: app.address, ...options })
}

/** Connects once through both proxies: what came of it, and whether the handshake was resumed. */
async function connection(t: TestContext, world: World): Promise<string> {
  const before = world.catalog.log.named('access').length
  const socket = await dial(t, world.entry)
  socket.end()
  const { text } = await outcomeOf(socket)
  const { fields } = (await world.catalog.log.saw('access', before + 1)).at(-1)!
  const { resumed } = fields['tls'] as { resumed: boolean }
  return `${resumed ? 'resumed' : 'full'}, ${text === 'hello' ? 'permitted' : String(fields['verdict'])}`
}

test('proxies resume by default, connection after connection, and know their peer', async (t) => {
  const world = await greetingWorld(t)
  assert.equal(await connection(t, world), 'full, permitted')
  for (let i = 0; i < 3; i++) assert.equal(await connection(t, world), 'resumed, permitted')
  const lines = world.catalog.log.named('access')
  assert.deepEqual(new Set(lines.map(({ fields }) => fields['peer'])), new Set([idOf('web')]))
})

test('proxies shake hands in full each time when they are told to', async (t) => {
  const world = await greetingWorld(t, { resumption: false })
  for (let i = 0; i < 3; i++) assert.equal(await connection(t, world), 'full, permitted')
})

test('proxies of different engines connect again and again', async (t) => {
  for (const [web, catalog] of [
    ['handfast', 'openssl'],
    ['openssl', 'handfast'],
  ] as const) {
    const world = await greetingWorld(t, { tlsEngines: { web, catalog } })
    for (let i = 0; i < 3; i++)
      assert.equal(await connection(t, world), 'full, permitted', `${web} to ${catalog}`)
  }
})

test('threads of a proxy take the tickets of each other', async (t) => {
  const world = await greetingWorld(t, { threads: 3, startThread: startWorkerThread })
  const outcomes: string[] = []
  for (let i = 0; i < 40; i++) outcomes.push(await connection(t, world))
  assert.deepEqual(new Set(outcomes), new Set(['full, permitted', 'resumed, permitted']))
  // Each of the client's threads begins with a full handshake, whichever of the server's it comes to.
  assert.ok(outcomes.filter((outcome) => outcome.startsWith('full')).length <= 3, outcomes.join('; '))
})

test('proxies shake hands in full when the server has a new certificate, and resume again after that', async (t) => {
  const world = await greetingWorld(t)
  await connection(t, world)
  await world.catalog.publishIdentity({
    svid: await mint(world.domain, 'catalog'),
    bundles: world.domain.bundles,
  })
  assert.equal(await connection(t, world), 'full, permitted')
  assert.equal(await connection(t, world), 'resumed, permitted')
})

test('proxies shake hands in full when the client has a new certificate', async (t) => {
  const world = await greetingWorld(t)
  await connection(t, world)
  await world.web.publishIdentity({ svid: await mint(world.domain, 'web'), bundles: world.domain.bundles })
  assert.equal(await connection(t, world), 'full, permitted')
})

test('proxies shake hands in full when a trust bundle has changed, on either side', async (t) => {
  const world = await greetingWorld(t)
  const other = await mintTrustDomain('other.example')
  const bundles = world.domain.bundles.with(other.bundle)
  await connection(t, world)
  await world.catalog.publishIdentity({ svid: await mint(world.domain, 'catalog'), bundles })
  assert.equal(await connection(t, world), 'full, permitted')
  await world.web.publishIdentity({ svid: await mint(world.domain, 'web'), bundles })
  assert.equal(await connection(t, world), 'full, permitted')
  assert.equal(await connection(t, world), 'resumed, permitted')
})

test('a ticket is worth nothing to a server that trusts its root no longer', async (t) => {
  const world = await greetingWorld(t)
  await connection(t, world)
  const other = await mintTrustDomain('shop.example')
  await world.catalog.publishIdentity({
    svid: await mint(world.domain, 'catalog'),
    bundles: TrustBundles.of(other.bundle),
  })
  const { text } = await outcomeOf(await dial(t, world.entry))
  assert.equal(text, '')
  const [failure] = await world.catalog.log.saw('Handshake failed')
  assert.equal((failure!.fields['error'] as { code: string }).code, 'TLS_CERTIFICATE_REJECTED')
  assert.equal(world.catalog.log.named('access').length, 1)
})

test('policy judges a resumed connection as any other', async (t) => {
  const world = await greetingWorld(t)
  await connection(t, world)
  await world.catalog.publishPolicy(policy(allow('somebody-else')))
  assert.equal(await connection(t, world), 'resumed, denial')
})

const domain = await mintTrustDomain()
const svid = await mint(domain, 'catalog')

function viewOf(overrides: Partial<MeshView> = {}): MeshView {
  return {
    svid,
    bundles: domain.bundles,
    policy: policy(),
    revocations: Revocations.NONE,
    keySets: new Map(),
    identityVersion: 1,
    ...overrides,
  }
}

function ticketsOf(secret: Uint8Array): ProxyTickets {
  return new ProxyTickets(crypto, secret, new CertificateMemory())
}

const STATE: ServerTicketState = {
  cipherSuite: 'TLS_AES_128_GCM_SHA256',
  preSharedKey: crypto.random(32),
  ageAdd: 0,
  maxEarlyDataBytes: 0,
  issuedAtMs: 0,
  expiresAtMs: Infinity,
}

/** Whether a ticket that one issued is taken by the other. */
async function isTaken(
  issuer: ProxyTickets,
  taker: ProxyTickets,
  view: MeshView,
  later: MeshView = view,
): Promise<boolean> {
  const ticket = issuer.forClients(view).store.issue({ ...STATE, expiresAtMs: 1000 })
  return (await taker.forClients(later).store.redeem(ticket, 0)) !== undefined
}

test('ProxyTickets of one secret take the tickets of each other, as the threads of a proxy do; others do not', async () => {
  const secret = crypto.random(TICKET_SECRET_BYTES)
  const [one, two] = [ticketsOf(secret), ticketsOf(secret)]
  assert.equal(await isTaken(one, two, viewOf()), true)
  assert.equal(await isTaken(one, ticketsOf(crypto.random(TICKET_SECRET_BYTES)), viewOf()), false)
})

test('ProxyTickets end with our certificate and with every bundle, and come back with neither by chance', async () => {
  const tickets = ticketsOf(crypto.random(TICKET_SECRET_BYTES))
  const other = await mintTrustDomain('other.example')
  const renewed = viewOf({ svid: await mint(domain, 'catalog'), identityVersion: 2 })
  const wider = viewOf({ bundles: domain.bundles.with(other.bundle), identityVersion: 2 })
  assert.equal(await isTaken(tickets, tickets, viewOf(), renewed), false)
  assert.equal(await isTaken(tickets, ticketsOf(crypto.random(TICKET_SECRET_BYTES)), viewOf(), wider), false)
  assert.equal(
    await isTaken(ticketsOf(new Uint8Array(32)), ticketsOf(new Uint8Array(32)), viewOf(), wider),
    false,
  )
  assert.equal(await isTaken(tickets, tickets, renewed, viewOf({ policy: policy(allow('web')) })), false)
})

test('ProxyTickets outlive a change of policy', async () => {
  const tickets = ticketsOf(crypto.random(TICKET_SECRET_BYTES))
  assert.equal(await isTaken(tickets, tickets, viewOf(), viewOf({ policy: policy(allow('web')) })), true)
})

test('ProxyTickets keep the tickets of each peer apart, and wipe them all with our certificate', async () => {
  const tickets = ticketsOf(crypto.random(TICKET_SECRET_BYTES))
  const ticket = {
    ...STATE,
    preSharedKey: crypto.random(32),
    ticket: Uint8Array.of(1),
    receivedAtMs: 0,
    expiresAtMs: 1000,
  }
  tickets.ofPeer(viewOf(), 'one').put(ticket)
  assert.equal(tickets.ofPeer(viewOf(), 'two').take(0), undefined)
  const renewed = viewOf({ svid: await mint(domain, 'catalog'), identityVersion: 2 })
  assert.equal(tickets.ofPeer(renewed, 'one').take(0), undefined)
  assert.deepEqual(ticket.preSharedKey, new Uint8Array(32))
})

test('ProxyTickets wipe those of the peer that was not needed for the longest time when there are too many peers', () => {
  const tickets = ticketsOf(crypto.random(TICKET_SECRET_BYTES))
  const view = viewOf()
  const ticketFor = (peer: string) => {
    const ticket = {
      ...STATE,
      preSharedKey: crypto.random(32),
      ticket: Uint8Array.of(1),
      receivedAtMs: 0,
      expiresAtMs: 1000,
    }
    tickets.ofPeer(view, peer).put(ticket)
    return ticket
  }
  const [needed, forgotten] = [ticketFor('needed'), ticketFor('forgotten')]
  for (let peer = 0; peer < 127; peer++) {
    tickets.ofPeer(view, 'needed')
    ticketFor(`peer ${peer}`)
  }
  assert.deepEqual(forgotten.preSharedKey, new Uint8Array(32))
  assert.equal(tickets.ofPeer(view, 'needed').take(0), needed)
})

test('ProxyTickets give nothing to a connection that began under an older certificate', async () => {
  const tickets = ticketsOf(crypto.random(TICKET_SECRET_BYTES))
  const renewed = viewOf({ svid: await mint(domain, 'catalog'), identityVersion: 2 })
  const ticket = { ...STATE, ticket: Uint8Array.of(1), receivedAtMs: 0, expiresAtMs: 1000 }
  tickets.ofPeer(renewed, 'one').put(ticket)
  assert.equal(tickets.ofPeer(viewOf(), 'one').take(0), undefined)
  tickets.ofPeer(viewOf(), 'one').put({ ...ticket, ticket: Uint8Array.of(2) })
  assert.deepEqual(tickets.ofPeer(renewed, 'one').take(0), ticket)
})
