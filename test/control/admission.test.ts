import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import test from 'node:test'
import { parseAddress } from '../../src/config/address.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { nodeTransport } from '../../src/net/node-transport.ts'
import { type SecureConnection } from '../../src/net/engine-connection.ts'
import { secureClient } from '../../src/net/secure-connection.ts'
import { anyCsr, clientOf, type ControlPlane, startControlPlane } from '../support/control-plane.ts'
import { memoryCa, WEB } from '../support/memory-ca.ts'
import type { X509Svid } from '../../src/identity/svid.ts'

const crypto = nativeCrypto()

async function connectTo(
  { address, bundles }: ControlPlane,
  { alpn, credential }: { alpn?: readonly string[]; credential?: X509Svid } = {},
): Promise<SecureConnection> {
  const connection = await nodeTransport.connect(parseAddress(address)!, { timeoutMs: 5_000 })
  const options = {
    crypto,
    nowMs: () => Date.now(),
    verifier: svidVerifier({ bundles: () => bundles, crypto }),
    ...(alpn !== undefined && { alpn }),
    ...(credential !== undefined && { credential }),
  }
  return secureClient(connection, options, { deadlineMs: 5_000 })
}

/** What the connection ends with. */
function ending(connection: SecureConnection): Promise<unknown> {
  return new Promise((resolve) => {
    connection.attach({ data: () => {}, end: () => connection.end(), drain: () => {}, closed: resolve })
  })
}

test('admission closes a connection that did not agree on ALPN h2', async (t) => {
  const plane = await startControlPlane(t)
  await ending(await connectTo(plane))
  assert.equal(plane.log.named('Connection refused: the client did not offer ALPN h2').length, 1)
  await assert.rejects(connectTo(plane, { alpn: ['http/1.1'] }), { code: 'TLS_PEER_ALERT' })
})

test('admission closes a connection whose client certificate does not verify', async (t) => {
  const plane = await startControlPlane(t)
  const stranger = await startControlPlane(t, { ca: await memoryCa(Date.now()) })
  const credential = await stranger.svid(WEB)
  const error = await ending(await connectTo(plane, { alpn: ['h2'], credential }))
  assert.ok(error instanceof Error && 'code' in error)
  assert.equal(error.code, 'TLS_PEER_ALERT')
  const [line] = plane.log.named('Connection failed')
  assert.match((line!.fields['error'] as Error).message, /issue|sign/)
})

test('admission survives what is not TLS, and goes on serving', async (t) => {
  const plane = await startControlPlane(t)
  const { host, port } = parseAddress(plane.address)!
  for (const garbage of [
    'GET / HTTP/1.1\r\n\r\n',
    '\0'.repeat(100),
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '',
  ]) {
    const socket = connect(port, host)
    socket.on('error', () => {})
    socket.resume()
    socket.end(garbage)
    await once(socket, 'close')
  }
  const { chain } = await clientOf(plane).issueSvid({ csr: anyCsr(), joinToken: await plane.ca.token() })
  assert.deepEqual(chain[0]!.subjectAltNames.uris, [WEB.toString()])
})

test('admission survives what is TLS and not HTTP/2', async (t) => {
  const plane = await startControlPlane(t)
  const connection = await connectTo(plane, { alpn: ['h2'] })
  const ended = ending(connection)
  connection.write(Buffer.from('GET / HTTP/1.1\r\nHost: controller\r\n\r\n'))
  await ended
  await clientOf(plane).issueSvid({ csr: anyCsr(), joinToken: await plane.ca.token() })
})
