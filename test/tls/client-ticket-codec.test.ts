import assert from 'node:assert/strict'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { HandfastError } from '../../src/errors.ts'
import { clientTickets } from '../../src/tls/session/client-tickets.ts'
import { decodeClientTicket, encodeClientTicket } from '../../src/tls/session/client-ticket-codec.ts'
import type { ClientTicket } from '../../src/tls/session/resumption.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import { TlsPair } from '../support/tls-pair.ts'
import { mintWorkloads, NOW_MS } from '../support/tls-workloads.ts'

const crypto = nativeCrypto()

/** A ticket of a real handshake. */
async function ticket(): Promise<ClientTicket> {
  const tickets = clientTickets()
  const server = { tickets: { store: statefulTickets(crypto) }, earlyData: { maxBytes: 99 } }
  new TlsPair(await mintWorkloads(), { client: { tickets, serverName: 'a.example' }, server }).run().pump()
  return tickets.take(NOW_MS)!
}

/** Certificates are compared by what they are made of. */
function plain({ peer, ...rest }: ClientTicket): object {
  return { ...rest, name: peer?.name, expiresAtMs: peer?.expiresAtMs, path: peer?.path.map(({ der }) => der) }
}

test('decodeClientTicket reads what encodeClientTicket wrote, also of a connection that rests on a key', async () => {
  const whole = await ticket()
  assert.deepEqual(plain(decodeClientTicket(encodeClientTicket(whole))), {
    ...plain(whole),
    serverCertificateType: 'X509',
  })
  const { peer, peerSignatureScheme, serverName, ...bare } = whole
  assert.notEqual(peer ?? peerSignatureScheme ?? serverName, undefined)
  const keyed = { ...bare, alpn: 'h2', externalPsk: Uint8Array.of(1, 2), externalPskTag: Uint8Array.of(3) }
  assert.deepEqual(decodeClientTicket(encodeClientTicket(keyed)), {
    ...keyed,
    serverCertificateType: 'X509',
  })
})

test('decodeClientTicket refuses what is cut, longer, of another layout or of an unknown suite', async () => {
  const encoded = encodeClientTicket(await ticket())
  for (let length = 0; length < encoded.length; length += length < 200 ? 1 : 97)
    assert.throws(() => decodeClientTicket(encoded.subarray(0, length)), HandfastError, `${length} bytes`)
  assert.throws(() => decodeClientTicket(new Uint8Array([...encoded, 0])), { code: 'BYTES_TRAILING' })
  const layout = encoded.slice()
  layout[0] = 9
  assert.throws(() => decodeClientTicket(layout), {
    code: 'TLS_BAD_OPTIONS',
    message: /layout 9, expected 2/,
  })
  // Behind the layout, the ticket of 32 bytes with its length, and two moments.
  const suite = encoded.slice()
  suite[1 + 34 + 12] = 0x7f
  assert.throws(() => decodeClientTicket(suite), { code: 'TLS_BAD_OPTIONS', message: /suite/ })
})
