import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import test from 'node:test'
import { ControlError } from '../../src/control/errors.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import { systemTimers } from '../../src/control/timers.ts'
import { anyCsr, clientOf, startControlPlane } from '../support/control-plane.ts'
import { memoryCa, WEB } from '../support/memory-ca.ts'
import { revocationsOf } from '../support/revocations.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'

function isRefusal(refusal: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof ControlError, String(error))
    assert.deepEqual([error.code, error.refusal], ['CONTROL_REFUSED', refusal])
    return true
  }
}

test('ControlClient.issueSvid gets a certificate for a join token over a connection without certificate', async (t) => {
  const plane = await startControlPlane(t)
  const { chain, bundles, clockSkewMs } = await clientOf(plane).issueSvid({
    csr: anyCsr(),
    joinToken: await plane.ca.token(),
  })
  assert.deepEqual(chain[0]!.subjectAltNames.uris, [WEB.toString()])
  assert.equal(chain.length, 2)
  assert.deepEqual(bundles.lookup('example.org')!.anchors[0]!.der, plane.ca.authority.bundle.anchors[0]!.der)
  assert.ok(Math.abs(clockSkewMs) < 1_000, `${clockSkewMs}`)
})

test('ControlClient.issueSvid tells its time, and the controller warns of a clock that is far off', async (t) => {
  const plane = await startControlPlane(t)
  const at = async (aheadMs: number): Promise<number> => {
    const timers = { ...systemTimers, nowMs: () => Date.now() + aheadMs }
    const client = clientOf(plane, { timers })
    return (await client.issueSvid({ csr: anyCsr(), joinToken: await plane.ca.token() })).clockSkewMs
  }
  assert.ok(Math.abs(await at(0)) < 10_000)
  assert.equal(plane.log.named('The clock of a caller differs').length, 0)
  assert.ok(Math.abs((await at(3_600_000)) + 3_600_000) < 10_000)
  const [line] = plane.log.named('The clock of a caller differs')
  assert.equal(line?.fields['spiffeId'], WEB.toString())
  assert.ok(Math.abs(Number(line?.fields['clientBehindMs']) + 3_600_000) < 10_000)
  assert.match(String(line?.fields['from']), /^127\.0\.0\.1:\d+$/)
})

test('ControlClient.issueSvid carries each kind of token to the attestor of its kind', async (t) => {
  const seen: unknown[] = []
  const attestor = (kind: string) => ({
    attest: ({ token }: { readonly token: string }) => {
      seen.push([kind, token])
      return Promise.resolve({ id: WEB, proof: kind })
    },
  })
  const attestors = { oidc: attestor('oidc'), kubernetes: attestor('kubernetes') }
  const plane = await startControlPlane(t, { ca: await memoryCa(Date.now(), { attestors }) })
  await clientOf(plane).issueSvid({ csr: anyCsr(), oidcToken: 'of an issuer' })
  await clientOf(plane).issueSvid({ csr: anyCsr(), serviceAccountToken: 'of a service account' })
  assert.deepEqual(seen, [
    ['oidc', 'of an issuer'],
    ['kubernetes', 'of a service account'],
  ])
})

test('ControlClient.issueSvid renews with the certificate of its connection alone', async (t) => {
  const plane = await startControlPlane(t)
  const svid = await plane.svid(WEB)
  const { chain } = await clientOf(plane, { credential: () => svid }).issueSvid({ csr: anyCsr() })
  assert.deepEqual(chain[0]!.subjectAltNames.uris, [WEB.toString()])
  const last = plane.ca.journal.entries.at(-1)
  assert.ok(last?.kind === 'issued')
  assert.equal(last.proof, 'peer-svid')
})

test('ControlClient.issueSvid reports each refusal by its code, and the controller tells no particulars', async (t) => {
  const plane = await startControlPlane(t)
  const client = clientOf(plane)
  const csr = anyCsr()
  await assert.rejects(client.issueSvid({ csr }), isRefusal('CA_NO_EVIDENCE'))
  await assert.rejects(
    client.issueSvid({ csr, joinToken: `hfj_${'A'.repeat(43)}` }),
    isRefusal('CA_TOKEN_UNKNOWN'),
  )
  const short = await plane.ca.token(WEB, 1)
  await assert.rejects(client.issueSvid({ csr, joinToken: short }), (error: Error) => {
    assert.ok(!error.message.includes(WEB.toString()), error.message)
    return isRefusal('CA_TOKEN_EXPIRED')(error)
  })
  const joinToken = await plane.ca.token()
  await assert.rejects(client.issueSvid({ csr: csr.subarray(1), joinToken }), isRefusal('CA_CSR_INVALID'))
  const foreign = await plane.ca.token(SpiffeId.parse('spiffe://other.example/a'))
  await assert.rejects(client.issueSvid({ csr, joinToken: foreign }), isRefusal('CA_WRONG_TRUST_DOMAIN'))
})

test('ControlClient.issueSvid fails on a request that is too large', async (t) => {
  const plane = await startControlPlane(t)
  const joinToken = await plane.ca.token()
  const csr = new Uint8Array(100 * 1024)
  await assert.rejects(clientOf(plane).issueSvid({ csr, joinToken }), { code: 'CONTROL_UNAVAILABLE' })
  await clientOf(plane).issueSvid({ csr: anyCsr(), joinToken })
})

test('ControlServer writes no token and no key to its log', async (t) => {
  const plane = await startControlPlane(t)
  const good = await plane.ca.token()
  const bad = `hfj_${'B'.repeat(43)}`
  await clientOf(plane).issueSvid({ csr: anyCsr(), joinToken: good })
  await assert.rejects(clientOf(plane).issueSvid({ csr: anyCsr(), joinToken: bad }))
  const lines = JSON.stringify(plane.log.lines, (_key, value: unknown) =>
    value instanceof Error ? [value.message, value.stack, Object.values(value)] : value,
  )
  assert.ok(plane.log.named('Issued a certificate').length === 1)
  assert.ok(plane.log.named('Refused to issue a certificate').length === 1)
  for (const secret of [good.slice(4), bad.slice(4), 'PRIVATE']) assert.ok(!lines.includes(secret))
})

test('ControlClient.issueSvid sends no token to a controller that it cannot verify', async (t) => {
  const imposter = await startControlPlane(t)
  const trusted = await memoryCa(Date.now())
  const client = clientOf({ address: imposter.address, bundles: TrustBundles.of(trusted.authority.bundle) })
  await assert.rejects(client.issueSvid({ csr: anyCsr(), joinToken: await trusted.token() }), (error) => {
    assert.ok(error instanceof ControlError && error.code === 'CONTROL_UNAVAILABLE')
    assert.match(error.message, /issued|issuer|signature/i)
    assert.ok(error.cause instanceof Error && 'alert' in error.cause, 'the cause is the TLS error itself')
    return true
  })
  assert.equal(imposter.log.named('Refused to issue a certificate').length, 0, 'no request has come')
})

test('ControlClient.issueSvid sends no token to a workload that plays the controller', async (t) => {
  const plane = await startControlPlane(t, { id: WEB })
  const client = clientOf(plane)
  await assert.rejects(client.issueSvid({ csr: anyCsr(), joinToken: await plane.ca.token() }), {
    code: 'CONTROL_UNAVAILABLE',
    message:
      /spiffe:\/\/example\.org\/ns\/shop\/sa\/web, expected spiffe:\/\/example\.org\/ns\/handfast-system/,
  })
  assert.deepEqual(
    plane.ca.journal.entries.map(({ kind }) => kind),
    ['issued'],
    'only its own certificate',
  )
})

test('ControlClient.issueSvid says why when nothing listens', async () => {
  const { authority } = await memoryCa(Date.now())
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  const client = clientOf({ address: `127.0.0.1:${port}`, bundles: TrustBundles.of(authority.bundle) })
  await assert.rejects(client.issueSvid({ csr: anyCsr() }), {
    code: 'CONTROL_UNAVAILABLE',
    message: /ECONNREFUSED/,
  })
})

test('ControlClient.issueSvid says so when what listens does not speak TLS', async (t) => {
  const { authority } = await memoryCa(Date.now())
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = clientOf({ address: `127.0.0.1:${port}`, bundles: TrustBundles.of(authority.bundle) })
  await assert.rejects(client.issueSvid({ csr: anyCsr() }), (error) => {
    assert.ok(error instanceof ControlError && error.code === 'CONTROL_UNAVAILABLE')
    assert.ok(error.cause instanceof Error && 'code' in error.cause)
    assert.match(String(error.cause.code), /^TLS_/)
    return true
  })
})

test('ControlServer judges a certificate at each call, not only when its connection was made', async (t) => {
  const plane = await startControlPlane(t, { timers: { ...laterBy(2 * 3600 * 1000) } })
  const svid = await plane.svid(WEB)
  const client = clientOf(plane, { credential: () => svid })
  await assert.rejects(client.issueSvid({ csr: anyCsr() }), isRefusal('CA_PEER_EXPIRED'))
})

/** A controller whose clock, as far as calls go, is ahead. */
function laterBy(offsetMs: number) {
  return { nowMs: () => Date.now() + offsetMs, after: () => () => {} }
}

test('ControlClient.issueSvid is refused with a certificate that is revoked, and told so', async (t) => {
  const plane = await startControlPlane(t)
  const svid = await plane.svid(WEB)
  const revocations = revocationsOf({
    trustDomain: WEB.trustDomain,
    serialNumbers: [svid.chain[0]!.serialNumber],
  })
  plane.board.publish({ ...plane.state('r2'), revocations })
  const client = clientOf(plane, { credential: () => svid })
  await assert.rejects(client.issueSvid({ csr: anyCsr() }), isRefusal('CA_REVOKED'))
  const last = plane.ca.journal.entries.at(-1)
  assert.ok(last?.kind === 'refused')
  assert.match(last.reason, /is revoked: the serial number/)
  // A token proves the workload anew.
  await client.issueSvid({ csr: anyCsr(), joinToken: await plane.ca.token() })
})
