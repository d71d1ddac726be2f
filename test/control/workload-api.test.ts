import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { create } from '@bufbuild/protobuf'
import {
  SpiffeWorkloadAPI,
  X509BundlesRequestSchema,
  type X509BundlesResponse,
} from '../../src/control/gen/workload-api_pb.ts'
import { methodDefinition } from '../../src/control/grpc-service.ts'
import { type FetchedState, WorkloadApiClient } from '../../src/control/workload-api/client.ts'
import { WorkloadApiServer } from '../../src/control/workload-api/server.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { ControlError } from '../../src/control/errors.ts'
import { signJws } from '../../src/crypto/jws.ts'
import { trustBundle, TrustBundles } from '../../src/identity/trust-bundle.ts'
import { parseX509Svid, type X509Svid } from '../../src/identity/svid.ts'
import { mintSvid, mintTrustDomain, type MintedTrustDomain } from '../support/certificates.ts'
import { ManualTimers } from '../support/manual-timers.ts'
import { SettableIdentity } from '../support/settable-identity.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const crypto = nativeCrypto()
const NOW_MS = Date.UTC(2026, 5, 1)
const HOUR_MS = 3_600_000

interface World {
  readonly identity: SettableIdentity
  readonly timers: ManualTimers
  readonly domain: MintedTrustDomain
  readonly path: string
  readonly client: WorkloadApiClient
  readonly server: WorkloadApiServer
  readonly svid: () => Promise<X509Svid>
}

/** A Workload API whose identity is not there yet. */
async function world(t: TestContext, { permitted = true } = {}): Promise<World> {
  const path = join(await temporaryDirectory(t), 'socket')
  const domain = await mintTrustDomain('shop.example', { nowMs: NOW_MS })
  const identity = new SettableIdentity(domain.bundles)
  const timers = new ManualTimers(NOW_MS)
  const server = new WorkloadApiServer({ identity, timers, crypto })
  const listener = createServer((socket) => server.acceptConnection(socket, permitted)).listen(path)
  await once(listener, 'listening')
  const client = new WorkloadApiClient(path)
  t.after(async () => {
    client[Symbol.dispose]()
    listener.close()
    await server.close()
  })
  const svid = async (): Promise<X509Svid> => {
    const { chain, key } = await mintSvid(domain.intermediate, undefined, { nowMs: NOW_MS })
    return parseX509Svid(chain, key)
  }
  return { identity, timers, domain, path, client, server, svid }
}

async function next(states: AsyncGenerator<FetchedState, void>): Promise<FetchedState> {
  const { value } = await states.next()
  assert.ok(value !== undefined)
  return value
}

test('FetchX509SVID gives the identity with its key, and pushes it anew when it or a bundle changes', async (t) => {
  const { identity, domain, client, svid } = await world(t)
  const first = await svid()
  identity.set({ svid: first })
  const states = client.watchX509(t.signal)
  const { svids, federated } = await next(states)
  const [fetched] = svids
  assert.equal(fetched.spiffeId, first.id.toString())
  assert.deepEqual(
    fetched.chain.map(({ der }) => der),
    first.chain.map(({ der }) => der),
  )
  assert.deepEqual(
    fetched.anchors.map(({ der }) => der),
    domain.bundle.anchors.map(({ der }) => der),
  )
  assert.deepEqual(crypto.importPrivateKey(fetched.key).publicKey.spki, first.chain[0]!.publicKey.spki)
  assert.equal(federated.size, 0)

  const second = await svid()
  identity.set({ svid: second })
  assert.deepEqual((await next(states)).svids[0].chain[0].der, second.chain[0]!.der)

  const partner = await mintTrustDomain('partner.example', { nowMs: NOW_MS })
  // What changes nothing that callers see is not sent.
  identity.set({})
  identity.set({ bundles: domain.bundles.with(partner.bundle) })
  const { federated: others } = await next(states)
  assert.deepEqual(
    Array.from(others, ([id, anchors]) => [id, anchors.map(({ der }) => der)]),
    [['spiffe://partner.example', partner.bundle.anchors.map(({ der }) => der)]],
  )
  await states.return()
})

test('FetchX509SVID asks for the identity when the first caller comes, and is unavailable while there is none', async (t) => {
  const { identity, timers, client, svid } = await world(t)
  assert.equal(identity.asked, 0)
  const states = client.watchX509(t.signal)
  const state = next(states)
  while (timers.delaysMs.length === 0) await new Promise(setImmediate)
  timers.advance(60_000)
  await assert.rejects(state, { code: 'CONTROL_WORKLOAD_API', message: /no valid identity.*UNAVAILABLE/ })
  assert.equal(identity.asked, 1)

  const later = next(client.watchX509(t.signal))
  identity.set({ svid: await svid() })
  assert.equal((await later).svids.length, 1)
})

test('FetchX509SVID ends when the identity expires, or the proxy stops, and follows nothing any more', async (t) => {
  const { identity, timers, client, svid, server } = await world(t)
  identity.set({ svid: await svid() })
  const expiring = client.watchX509(t.signal)
  await next(expiring)
  timers.advance(2 * HOUR_MS)
  await assert.rejects(expiring.next(), /no valid identity/)

  const renewed = await mintSvid((await mintTrustDomain('shop.example')).intermediate, undefined, {
    nowMs: timers.nowMs(),
  })
  identity.set({ svid: parseX509Svid(renewed.chain, renewed.key) })
  const stopped = client.watchX509(t.signal)
  await next(stopped)
  const ended = assert.rejects(stopped.next(), /The proxy is stopping.*UNAVAILABLE/)
  await server.close()
  await ended
  assert.equal(identity.followers, 0)
})

test('the Workload API refuses callers whom the operator does not permit, and calls without its metadata', async (t) => {
  const refused = await world(t, { permitted: false })
  refused.identity.set({ svid: await refused.svid() })
  await assert.rejects(next(refused.client.watchX509(t.signal)), /PERMISSION_DENIED/)
  const { path } = await world(t)
  for (const metadata of [new Metadata(), headerOf('false'), headerOf('true', 'true')]) {
    const error = (await fetchBundles(t, path, metadata)) as ServiceError
    assert.equal(error.code, status.INVALID_ARGUMENT)
  }
})

test('FetchX509Bundles gives the bundle of every trust domain by itself', async (t) => {
  const { identity, domain, path, svid } = await world(t)
  const partner = await mintTrustDomain('partner.example', { nowMs: NOW_MS })
  identity.set({ svid: await svid(), bundles: domain.bundles.with(partner.bundle) })
  const { bundles } = (await fetchBundles(t, path, headerOf('true'))) as X509BundlesResponse
  assert.deepEqual(
    bundles,
    Object.fromEntries(
      [domain, partner].map(({ bundle: { trustDomain, anchors } }) => [
        `spiffe://${trustDomain}`,
        anchors[0]!.der,
      ]),
    ),
  )
})

function headerOf(...values: readonly string[]): Metadata {
  const metadata = new Metadata()
  for (const value of values) metadata.add('workload.spiffe.io', value)
  return metadata
}

/** What FetchX509Bundles answers first, or the error that it ends with. */
async function fetchBundles(
  t: TestContext,
  path: string,
  metadata: Metadata,
): Promise<X509BundlesResponse | ServiceError> {
  const method = methodDefinition(SpiffeWorkloadAPI.method.fetchX509Bundles)
  const client = new Client(`unix:${path}`, credentials.createInsecure())
  t.after(() => client.close())
  const stream = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    create(X509BundlesRequestSchema),
    metadata,
  )
  const failed = new Promise<ServiceError>((resolve) => stream.on('error', resolve))
  const answered = once(stream, 'data').then(
    ([response]) => response as X509BundlesResponse,
    () => failed,
  )
  return Promise.race([answered, failed])
}

const SIGNER = crypto.generateKey('ec-p256')

/** A Workload API whose controller signs tokens with {@link SIGNER}. */
async function tokenWorld(t: TestContext): Promise<World> {
  const parts = await world(t)
  const { identity, domain, timers, svid } = parts
  const { trustDomain, anchors } = domain.bundle
  const bundle = trustBundle(trustDomain, anchors, [{ keyId: 'k1', spki: SIGNER.publicKey.spki }])
  identity.set({ svid: await svid(), bundles: TrustBundles.of(bundle) })
  identity.issue = (audience) => {
    const exp = timers.nowMs() / 1000 + 300
    const claims = { sub: identity.current()!.id.toString(), aud: audience, exp, role: 'x' }
    return Promise.resolve({ token: signJws(claims, { key: SIGNER, keyId: 'k1' }), expiresAtMs: exp * 1000 })
  }
  return parts
}

test('FetchJWTSVID gives a token for the audience, and ValidateJWTSVID says whom it proves, and to whom', async (t) => {
  const { identity, client, timers } = await tokenWorld(t)
  const token = await client.fetchToken(['catalog'])
  const { spiffeId, claims } = await client.validateToken(token, 'catalog')
  assert.deepEqual([spiffeId, claims?.['role']], [identity.current()!.id.toString(), 'x'])
  const refusals: readonly [Promise<unknown>, RegExp][] = [
    [client.validateToken(token, 'cart'), /TOKEN_AUDIENCE.*INVALID_ARGUMENT/],
    [client.validateToken(token, ''), /Expected an audience.*INVALID_ARGUMENT/],
    [client.validateToken(`${token}A`, 'catalog'), /TOKEN_.*INVALID_ARGUMENT/],
    [client.fetchToken([]), /Expected an audience.*INVALID_ARGUMENT/],
  ]
  for (const [asked, message] of refusals)
    await assert.rejects(asked, { code: 'CONTROL_WORKLOAD_API', message })
  timers.advance(400_000)
  await assert.rejects(client.validateToken(token, 'catalog'), /TOKEN_EXPIRED/)
})

test('FetchJWTSVID tells what may be better later from what will not', async (t) => {
  const { identity, client, timers } = await tokenWorld(t)
  const failures: readonly [ControlError, RegExp][] = [
    [new ControlError('CONTROL_UNAVAILABLE', 'away'), /UNAVAILABLE/],
    [new ControlError('CONTROL_REFUSED', 'no', { refusal: 'CA_REVOKED' }), /PERMISSION_DENIED/],
    [new ControlError('CONTROL_REFUSED', 'no', { refusal: 'CA_AUDIENCE' }), /INVALID_ARGUMENT/],
  ]
  for (const [failure, message] of failures) {
    identity.issue = () => Promise.reject(failure)
    await assert.rejects(client.fetchToken(['catalog']), { message })
  }
  timers.advance(2 * HOUR_MS)
  await assert.rejects(client.fetchToken(['catalog']), /no valid identity.*UNAVAILABLE/)
})
