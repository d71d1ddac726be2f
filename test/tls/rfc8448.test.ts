import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, toHex } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { CryptoProvider, KeyKind } from '../../src/crypto/provider.ts'
import { TlsConnection } from '../../src/tls/connection.ts'
import { readTrace, replayCrypto, skipTraces, TRACE_TIME_MS, type Trace } from '../support/rfc8448.ts'
import {
  clientCredential,
  ReplayedSide,
  rewriter,
  serverCredential,
  TraceTickets,
  trusting,
} from '../support/rfc8448-replay.ts'

interface Scenario {
  readonly section: string
  readonly serverKey: KeyKind
  readonly clientAuthentication?: true
  /** Where the client's pool holds its ephemeral keys: behind its random, and its session id if it has one. */
  readonly clientKeysAt: number
}

/** RFC 8448 §3, 5, 6 and 7; §4 goes on from §3. */
const SCENARIOS: readonly Scenario[] = [
  { section: 'Simple_1RTT_Handshake', serverKey: 'rsa', clientKeysAt: 32 },
  { section: 'HelloRetryRequest_Handshake', serverKey: 'rsa', clientKeysAt: 32 },
  {
    section: 'Client_Authentication_Handshake',
    serverKey: 'ec-p256',
    clientAuthentication: true,
    clientKeysAt: 32,
  },
  { section: 'Middlebox_Compatibility_Mode', serverKey: 'rsa', clientKeysAt: 64 },
]
const SIMPLE = SCENARIOS[0]!

for (const [name, base] of [
  ['native', nativeCrypto()],
  ['portable', portableCrypto()],
] as const) {
  for (const scenario of SCENARIOS) {
    test(
      `TlsConnection as client replays ${scenario.section} byte for byte (${name})`,
      { skip: skipTraces },
      () => void replayClient(scenario, base),
    )
    test(
      `TlsConnection as server replays ${scenario.section} byte for byte (${name})`,
      { skip: skipTraces },
      () => void replayServer(scenario, base),
    )
  }

  test(
    `TlsConnection as client resumes Simple_1RTT_Handshake in Resumed_0RTT_Handshake byte for byte (${name})`,
    { skip: skipTraces },
    () => resumeClient(base, replayClient(SIMPLE, base)),
  )
  test(
    `TlsConnection as server resumes Simple_1RTT_Handshake in Resumed_0RTT_Handshake byte for byte (${name})`,
    { skip: skipTraces },
    () => resumeServer(base, replayServer(SIMPLE, base)),
  )
}

/** Returns what it kept of the server's tickets. */
function replayClient(
  { section, clientAuthentication, clientKeysAt }: Scenario,
  base: CryptoProvider,
): TraceTickets {
  const trace = readTrace(section)
  const tickets = new TraceTickets(trace)
  const client = new ReplayedSide((handlers) =>
    TlsConnection.client(
      {
        crypto: replayCrypto(base, { keys: trace['Client_RNG_Pool']!.subarray(clientKeysAt) }),
        nowMs: () => TRACE_TIME_MS,
        verifier: trusting,
        serverName: 'server',
        groups: ['x25519', 'secp256r1'],
        tickets: tickets.ofClient,
        ...(clientAuthentication ? { credential: clientCredential(trace, base) } : {}),
      },
      handlers,
      rewriter(trace),
    ),
  )
  assert.equal(client.taken(), toHex(trace['Record_ClientHello_1']!))
  if (trace['Record_HelloRetryRequest'] !== undefined) {
    client.receive(trace['Record_HelloRetryRequest'])
    assert.equal(client.taken(), toHex(trace['Record_ClientHello_2']!))
  }
  client.receive(trace['Record_ServerHello']!)
  client.receive(trace['Record_ServerHandshakeMessages']!)
  assert.deepEqual(client.events, ['established'])
  assert.equal(client.taken(), toHex(trace['Record_ClientFinished']!))
  if (trace['Record_NewSessionTicket'] !== undefined) client.receive(trace['Record_NewSessionTicket'])
  converse(client, 'Client', trace)
  return tickets
}

/** Returns what it kept for the tickets that it handed out. */
function replayServer(
  { section, serverKey, clientAuthentication }: Scenario,
  base: CryptoProvider,
): TraceTickets {
  const trace = readTrace(section)
  const tickets = new TraceTickets(trace)
  const pool = trace['Server_RNG_Pool']!
  const handsOut = trace['Record_NewSessionTicket'] !== undefined
  const server = new ReplayedSide((handlers) =>
    TlsConnection.server(
      {
        crypto: replayCrypto(base, {
          random: [pool.subarray(0, 32), ...(handsOut ? [TICKET_AGE_ADD] : [])],
          keys: pool.subarray(32),
        }),
        nowMs: () => TRACE_TIME_MS,
        grease: false,
        groups: section.startsWith('HelloRetry') ? ['secp256r1'] : ['x25519'],
        credential: () => serverCredential(trace, serverKey, base),
        earlyData: EARLY_DATA,
        ...(handsOut ? { tickets: { store: tickets.ofServer, count: 1, lifetimeSeconds: 30 } } : {}),
        ...(clientAuthentication ? { clientVerifier: trusting } : {}),
      },
      handlers,
      rewriter(trace),
    ),
  )
  server.receive(trace['Record_ClientHello_1']!)
  if (trace['Record_HelloRetryRequest'] !== undefined) {
    assert.equal(server.taken(), toHex(trace['Record_HelloRetryRequest']))
    server.receive(trace['Record_ClientHello_2']!)
  }
  assert.equal(
    server.taken(),
    toHex(concat(trace['Record_ServerHello']!, trace['Record_ServerHandshakeMessages']!)),
  )
  server.receive(trace['Record_ClientFinished']!)
  assert.deepEqual(server.events, ['established'])
  assert.equal(server.taken(), toHex(trace['Record_NewSessionTicket'] ?? new Uint8Array(0)))
  converse(server, 'Server', trace)
  return tickets
}

/** RFC 8448 §3: the ticket_age_add of the only ticket, and what early data goes with it. */
const TICKET_AGE_ADD = Uint8Array.fromHex('fad6aac5')
const EARLY_DATA = { maxBytes: 1024 }

/** §4 says of the ticket's age that the client sent its hello so much later. */
const RESUMED_AFTER_MS = 6

/**
 * The server's flight as it stands in the RFC. In the vectors it lacks the server_name of EncryptedExtensions, and what
 * comes after it there goes on from the flight of the RFC.
 */
const RESUMED_SERVER_FLIGHT = {
  Message_EncryptedExtensions:
    '080000280026000a00140012001d00170018001901000101010201030104001c0002400100000000002a0000',
  Record_ServerHandshakeMessages:
    '1703030061dc48237b4b879f50d0d4d262ea8b4716eb40ddc1eb957e11126e8a7149c2d012d37a7115957e64ce30008b9e0323f2c0' +
    '5a9c1c77b4f37849a695ab255060a33fee770ca95cb8486bfd0843b87024865ca35cc41c4e515c64dcb1369f98635bc7a5',
}

function readResumedTrace(): Trace {
  const flight = Object.entries(RESUMED_SERVER_FLIGHT).map(([name, hex]) => [name, Uint8Array.fromHex(hex)])
  return { ...readTrace('Resumed_0RTT_Handshake'), ...Object.fromEntries(flight) }
}

function resumeClient(base: CryptoProvider, tickets: TraceTickets): void {
  const trace = readResumedTrace()
  const client = new ReplayedSide((handlers) =>
    TlsConnection.client(
      {
        crypto: replayCrypto(base, { keys: trace['Client_RNG_Pool']!.subarray(32) }),
        nowMs: () => TRACE_TIME_MS + RESUMED_AFTER_MS,
        verifier: trusting,
        serverName: 'server',
        groups: ['x25519', 'secp256r1'],
        tickets: tickets.ofClient,
        earlyData: true,
      },
      handlers,
      rewriter(trace),
    ),
  )
  assert.equal(client.taken(), toHex(trace['Record_ClientHello_1']!))
  assert.equal(client.connection.sendEarly(trace['Client_EarlyAppData']!), 6)
  assert.equal(client.taken(), toHex(trace['Record_Client_EarlyAppData']!))
  client.receive(trace['Record_ServerHello']!)
  client.receive(trace['Record_ServerHandshakeMessages']!)
  assert.deepEqual(client.events, ['established'])
  const { resumed, earlyData } = client.connection.session!
  assert.deepEqual({ resumed, earlyData }, { resumed: true, earlyData: 'accepted' })
  // EndOfEarlyData and Finished.
  assert.equal(client.taken(), toHex(trace['Record_ClientFinished']!))
  converse(client, 'Client', trace)
}

function resumeServer(base: CryptoProvider, tickets: TraceTickets): void {
  const trace = readResumedTrace()
  const pool = trace['Server_RNG_Pool']!
  const server = new ReplayedSide((handlers) =>
    TlsConnection.server(
      {
        crypto: replayCrypto(base, { random: [pool.subarray(0, 32)], keys: pool.subarray(32) }),
        nowMs: () => TRACE_TIME_MS + RESUMED_AFTER_MS,
        grease: false,
        groups: ['x25519'],
        credential: () => assert.fail('A resumption shows no certificate'),
        tickets: { store: tickets.ofServer, count: 0 },
        earlyData: EARLY_DATA,
      },
      handlers,
      rewriter(trace),
    ),
  )
  server.receive(trace['Record_ClientHello_1']!)
  assert.equal(
    server.taken(),
    toHex(concat(trace['Record_ServerHello']!, trace['Record_ServerHandshakeMessages']!)),
  )
  server.receive(trace['Record_Client_EarlyAppData']!)
  assert.deepEqual(server.events.splice(0), [`early data ${toHex(trace['Client_EarlyAppData']!)}`])
  server.receive(trace['Record_ClientFinished']!)
  assert.deepEqual(server.events, ['established'])
  const { resumed, earlyData, ticketAgeSkewMs } = server.connection.session!
  assert.deepEqual(
    { resumed, earlyData, ticketAgeSkewMs },
    { resumed: true, earlyData: 'accepted', ticketAgeSkewMs: 0 },
  )
  converse(server, 'Server', trace)
}

/** Sends and receives the data of the trace, if it has any, and both goodbyes. */
function converse(side: ReplayedSide, own: 'Client' | 'Server', trace: Trace): void {
  const peer = own === 'Client' ? 'Server' : 'Client'
  const data = trace[`${peer}_AppData`]
  if (data !== undefined) {
    side.connection.send(trace[`${own}_AppData`]!)
    assert.equal(side.taken(), toHex(trace[`Record_${own}_AppData`]!))
    side.receive(trace[`Record_${peer}_AppData`]!)
  }
  side.connection.close()
  assert.equal(side.taken(), toHex(trace[`Record_${own}_CloseNotify`]!))
  side.receive(trace[`Record_${peer}_CloseNotify`]!)
  const told = data === undefined ? [] : [`data ${toHex(data)}`]
  assert.deepEqual(side.events, ['established', ...told, 'closed'])
}
