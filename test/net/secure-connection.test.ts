import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import type { HandfastError } from '../../src/errors.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import type { SecureConnection } from '../../src/net/engine-connection.ts'
import { secureClient, secureServer } from '../../src/net/secure-connection.ts'
import type { Connection } from '../../src/net/transport.ts'
import type { TlsError } from '../../src/tls/errors.ts'
import type { ClientTicket, ClientTicketStore } from '../../src/tls/session/resumption.ts'
import { statefulTickets } from '../../src/tls/session/stateful-tickets.ts'
import type { TraceEvent } from '../../src/tls/trace.ts'
import { mintSvid, mintTrustDomain, type MintedTrustDomain } from '../support/certificates.ts'
import { RecordedConnection } from '../support/recorded-connection.ts'
import { connectedPair, TRANSPORTS } from '../support/transports.ts'
import type { Transport } from '../../src/net/transport.ts'

for (const transport of TRANSPORTS) suite(transport)

function suite(transport: Transport): void {
  const crypto = nativeCrypto()
  const LIMITS = { deadlineMs: 5_000 }

  async function optionsFor(domain: MintedTrustDomain): Promise<{
    client: Parameters<typeof secureClient>[1]
    server: Parameters<typeof secureServer>[1]
  }> {
    const [web, orders] = await Promise.all(
      ['web', 'orders'].map((name) =>
        mintSvid(domain.intermediate, `spiffe://shop.example/ns/default/sa/${name}`),
      ),
    )
    const verifier = svidVerifier({ bundles: () => domain.bundles, crypto })
    return {
      client: { crypto, nowMs: Date.now, verifier, credential: web! },
      server: { crypto, nowMs: Date.now, clientVerifier: verifier, credential: () => orders! },
    }
  }

  async function securePair(t: TestContext): Promise<[SecureConnection, SecureConnection, Connection]> {
    const { client, server } = await optionsFor(await mintTrustDomain())
    const { client: rawClient, server: rawServer } = await connectedPair(t, transport)
    const [a, b] = await Promise.all([
      secureClient(rawClient, client, LIMITS),
      secureServer(rawServer, server, LIMITS),
    ])
    return [a, b, rawClient]
  }

  test(`secureClient and secureServer prove both peers to each other and carry data and ends, over ${transport.name}`, async (t) => {
    const [client, server] = await securePair(t)
    assert.equal(client.session.peer?.name, 'spiffe://shop.example/ns/default/sa/orders')
    assert.equal(server.session.peer?.name, 'spiffe://shop.example/ns/default/sa/web')
    const [a, b] = [new RecordedConnection(client), new RecordedConnection(server)]
    client.write(Buffer.from('request'))
    client.end()
    await b.ended
    server.write(Buffer.from(`echo ${b.text}`))
    server.end()
    assert.deepEqual(await Promise.all([a.closed, b.closed]), [undefined, undefined])
    assert.equal(a.text, 'echo request')
  })

  test(`secureServer gives an HTTP request in plaintext an alert and a typed failure with its trace, over ${transport.name}`, async (t) => {
    const { server } = await optionsFor(await mintTrustDomain())
    const { client: raw, server: rawServer } = await connectedPair(t, transport)
    const peer = new RecordedConnection(raw)
    raw.write(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
    const seen: { error: HandfastError; trace: readonly TraceEvent[] }[] = []
    const onFailure = (error: HandfastError, trace: readonly TraceEvent[]): void =>
      void seen.push({ error, trace })
    await assert.rejects(secureServer(rawServer, server, { ...LIMITS, onFailure }), { code: 'TLS_NOT_TLS' })
    await peer.ended
    assert.equal(Buffer.from(peer.text, 'latin1')[0], 21)
    assert.equal(seen.length, 1)
    assert.equal(seen[0]!.error.code, 'TLS_NOT_TLS')
    assert.ok(seen[0]!.trace.some(({ kind }) => kind === 'alert'))
  })

  test(`secureServer tells a client by an alert why it is refused, and the client reads it and no reset, over ${transport.name}`, async (t) => {
    const [mine, theirs] = await Promise.all([mintTrustDomain(), mintTrustDomain()])
    const { server } = await optionsFor(mine)
    const { client } = await optionsFor(theirs)
    const { client: rawClient, server: rawServer } = await connectedPair(t, transport)
    const trusting = { ...client, verifier: svidVerifier({ bundles: () => mine.bundles, crypto }) }
    const [outcome] = await Promise.allSettled([
      secureClient(rawClient, trusting, LIMITS),
      assert.rejects(secureServer(rawServer, server, LIMITS), { code: 'TLS_CERTIFICATE_REJECTED' }),
    ])
    assert.equal(outcome.status, 'fulfilled')
    const connection = outcome.value
    const error = (await new RecordedConnection(connection).closed) as TlsError
    assert.deepEqual([error.code, error.received], ['TLS_PEER_ALERT', 'unknown_ca'])
  })

  test(`secureServer survives a user that aborts from inside data, over ${transport.name}`, async (t) => {
    const [client, server] = await securePair(t)
    const a = new RecordedConnection(client)
    const calls: string[] = []
    const closed = new Promise((resolve) => {
      server.attach({
        data: () => {
          calls.push('data')
          server.abort()
        },
        end: () => calls.push('end'),
        drain: () => {},
        closed: resolve,
      })
    })
    client.write(Buffer.alloc(200_000))
    assert.equal(await closed, undefined)
    assert.deepEqual(calls, ['data'])
    assert.equal((await a.closed)?.code, 'NET_RESET')
  })

  test(`secureClient reports a stream that was altered on its way as TLS_BAD_RECORD_MAC, never as an end, over ${transport.name}`, async (t) => {
    const [, server, rawClient] = await securePair(t)
    const b = new RecordedConnection(server)
    // An application data record that no key of this connection has sealed.
    rawClient.write(Buffer.concat([Buffer.from('1703030020', 'hex'), Buffer.alloc(32)]))
    assert.equal((await b.closed)?.code, 'TLS_BAD_RECORD_MAC')
    assert.ok(!b.events.includes('end'))
  })

  test(`secureClient sends data early, which servers that share their tickets take once between them, over ${transport.name}`, async (t) => {
    const { client, server } = await optionsFor(await mintTrustDomain())
    const tickets: ClientTicket[] = []
    const store = statefulTickets(crypto)
    const serving = { ...server, tickets: { store, count: 1 }, earlyData: { maxBytes: 5 } }
    const visit = async (
      earlyData: string,
      kept: ClientTicket | undefined,
    ): Promise<readonly [SecureConnection, SecureConnection]> => {
      let left = kept
      const own: ClientTicketStore = {
        put: (ticket) => void tickets.push(ticket),
        take: () => [left, (left = undefined)][0],
      }
      const { client: rawClient, server: rawServer } = await connectedPair(t, transport)
      const connected = await Promise.all([
        secureClient(
          rawClient,
          { ...client, tickets: own, earlyData: true },
          { ...LIMITS, earlyData: Buffer.from(earlyData) },
        ),
        // Another server each time: all they share is the store.
        secureServer(rawServer, { ...serving }, LIMITS),
      ])
      const [mine, theirs] = [new RecordedConnection(connected[0]), new RecordedConnection(connected[1])]
      connected[0].write(Buffer.from('late'))
      connected[0].end()
      connected[1].end()
      await Promise.all([mine.closed, theirs.closed])
      assert.equal(theirs.text, 'late', 'early data is apart from the rest')
      return connected
    }
    const [first] = await visit('early', undefined)
    assert.equal(first.earlyBytesSent, 0)
    const ticket = tickets[0]!
    const again = { ...ticket, preSharedKey: ticket.preSharedKey.slice() }

    const [sender, receiver] = await visit('early data', ticket)
    assert.equal(sender.session.earlyData, 'accepted')
    assert.equal(sender.earlyBytesSent, 5, 'the ticket allows no more')
    assert.equal(Buffer.from(receiver.earlyData).toString(), 'early')

    const [repeater, replica] = await visit('early', again)
    assert.equal(repeater.session.earlyData, 'session_not_resumed')
    assert.equal(repeater.earlyBytesSent, 5)
    assert.equal(replica.earlyData.length, 0)
    assert.equal(replica.session.resumed, false)
  })

  test(`updateKeys of a secure connection renews the keys of both directions, and leaves a closed one alone, over ${transport.name}`, async (t) => {
    const { client, server } = await optionsFor(await mintTrustDomain())
    const { client: rawClient, server: rawServer } = await connectedPair(t, transport)
    const trace: TraceEvent[] = []
    const [a, b] = await Promise.all([
      secureClient(rawClient, { ...client, trace: (event) => void trace.push(event) }, LIMITS),
      secureServer(rawServer, server, LIMITS),
    ])
    const [mine, theirs] = [new RecordedConnection(a), new RecordedConnection(b)]
    a.updateKeys()
    a.write(Buffer.from('request'))
    a.end()
    a.updateKeys()
    await theirs.ended
    b.write(Buffer.from('answer'))
    b.end()
    await Promise.all([mine.closed, theirs.closed])
    assert.deepEqual([theirs.text, mine.text], ['request', 'answer'])
    const updates = trace.filter((event) => event.kind === 'message' && event.type === 'key_update')
    assert.deepEqual(
      updates.map((event) => event.kind === 'message' && event.direction),
      ['sent', 'received'],
    )
  })
}
