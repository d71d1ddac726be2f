/** What applications of several makes read, behind a pair of proxies whose policy denies `/admin` and what is below. */
import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { compilePolicies } from '../../../src/authz/compile.ts'
import { parsePolicies } from '../../../src/authz/parse.ts'
import type { PolicySet } from '../../../src/authz/policy-set.ts'
import type { Address } from '../../../src/config/address.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { decisionIds } from '../../../src/proxy/decision-ids.ts'
import { dial } from '../../support/apps.ts'
import { mintTrustDomain } from '../../support/certificates.ts'
import { idOf, LOOPBACK, mint, policy, proxyOf } from '../../support/proxy-world.ts'
import { APPLICATIONS, MARK } from './applications.ts'
import { ATTEMPTS, type Attempt } from './corpus.ts'

/** A server that waits for more is given up; what it was to say it has said by then. */
const SILENCE_MS = 2_000

/** So many connections at a time. */
const AT_ONCE = 8

const POLICIES = `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: everything, namespace: shop }
spec: { action: ALLOW, rules: [{ from: [{ principals: ["${idOf('web')}"] }] }] }
---
apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: not-admin, namespace: shop }
spec: { action: DENY, rules: [{ to: [{ paths: [/admin, /admin/*] }] }] }
`

function denyingAdmin(): PolicySet {
  const crypto = nativeCrypto()
  return compilePolicies(parsePolicies([{ name: 'policies.yaml', text: POLICIES }]), {
    crypto,
    trustDomain: 'example.org',
    newId: decisionIds(crypto),
  })
}

/** Two ways to the application: through both proxies as a client has it, and as a peer that speaks what it likes over mutual TLS. */
async function waysTo(
  t: TestContext,
  app: Address,
): Promise<{ readonly client: Address; readonly peer: Address }> {
  const domain = await mintTrustDomain()
  const catalog = await proxyOf(t, {
    inbound: [{ name: 'catalog', listen: LOOPBACK, forward: app, protocol: 'http' }],
  })
  const connect = catalog.addresses['catalog']!
  const web = await proxyOf(t, {
    outbound: (['http', 'tcp'] as const).map((protocol) => ({
      name: protocol,
      listen: LOOPBACK,
      connect,
      peer: idOf('catalog'),
      protocol,
    })),
  })
  for (const [proxy, name] of [
    [catalog, 'catalog'],
    [web, 'web'],
  ] as const)
    await proxy.publishIdentity({ svid: await mint(domain, name), bundles: domain.bundles })
  await catalog.publishPolicy(denyingAdmin())
  await web.publishPolicy(policy())
  return { client: web.addresses['http']!, peer: web.addresses['tcp']! }
}

/** Everything that comes back. */
async function say(t: TestContext, address: Address, { bytes }: Attempt): Promise<string> {
  const socket = await dial(t, address)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.once('end', () => socket.destroy())
  socket.write(Buffer.from(bytes, 'latin1'))
  await Promise.race([ended, pause(SILENCE_MS)])
  socket.destroy()
  return Buffer.concat(chunks).toString('latin1')
}

/** The attempts that got what is denied. */
async function successes(t: TestContext, address: Address): Promise<string[]> {
  const left = ATTEMPTS.values()
  const found: string[] = []
  const work = async (): Promise<void> => {
    for (const attempt of left) if ((await say(t, address, attempt)).includes(MARK)) found.push(attempt.name)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return found
}

for (const application of APPLICATIONS) {
  const { name, program } = application
  test(`proxy lets no request pass that ${name} reads as one for a denied path`, async (t) => {
    if (typeof program === 'string') return t.skip(program)
    const app = await application.start(t)
    const ways = await waysTo(t, app)
    const unguarded = await successes(t, app)
    t.diagnostic(
      `${ATTEMPTS.length} attempts; ${unguarded.length} succeed without proxies: ${unguarded.join(' ')}`,
    )
    assert.ok(unguarded.length >= 10, 'the application answers')
    assert.deepEqual(await successes(t, ways.client), [])
    assert.deepEqual(await successes(t, ways.peer), [])
    // What is permitted does pass, both ways.
    const open: Attempt = {
      name: 'open',
      bytes: 'GET /public HTTP/1.1\r\nHost: catalog.shop\r\nConnection: close\r\n\r\n',
    }
    for (const way of [ways.client, ways.peer])
      assert.match(await say(t, way, open), /^HTTP\/1\.1 200 .*public/s)
  })
}
