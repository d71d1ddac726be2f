/** Two traces that Botan recorded in the manner of RFC 8448: raw public keys, and a key given beforehand. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, toHex, utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import { TlsConnection } from '../../src/tls/connection.ts'
import { decodeCertificate } from '../../src/tls/messages/authentication.ts'
import { asMessage } from '../../src/tls/messages/handshake-message.ts'
import type { RawPublicKeyVerifier } from '../../src/tls/options.ts'
import type { ClientTicket, ServerTicketState } from '../../src/tls/session/resumption.ts'
import { readTrace, replayCrypto, skipTraces, TRACE_TIME_MS, type Trace } from '../support/rfc8448.ts'
import { ReplayedSide, replayKey, rewriter, trusting } from '../support/rfc8448-replay.ts'

const RAW = 'RawPublicKey_With_Client_Authentication'
const PSK = 'Externally_Provided_PSK_with_Ephemeral_Key'

for (const [name, base] of [
  ['native', nativeCrypto()],
  ['portable', portableCrypto()],
] as const) {
  test(`TlsConnection on both sides replays ${RAW} byte for byte (${name})`, { skip: skipTraces }, () =>
    replayRawClient(base, replayRawServer(base)),
  )
  test(`TlsConnection as client replays ${PSK} byte for byte (${name})`, { skip: skipTraces }, () =>
    replayPskClient(base),
  )
  test(`TlsConnection as server knows no key but imported ones (${PSK}, ${name})`, { skip: skipTraces }, () =>
    refusePsk(base),
  )
}

/** Welcomes every key, and keeps it. */
class Welcoming implements RawPublicKeyVerifier {
  seen: Uint8Array | undefined

  verify(rawPublicKey: Uint8Array) {
    this.seen = rawPublicKey
    return { name: 'whoever has the key', expiresAtMs: TRACE_TIME_MS + 1, path: [], rawPublicKey }
  }
}

/** Returns the client's key, which the trace shows encrypted only. */
function replayRawServer(base: CryptoProvider): Uint8Array {
  const trace = readTrace(RAW)
  const pool = trace['Server_RNG_Pool']!
  const rawPublicKeyVerifier = new Welcoming()
  const server = new ReplayedSide((handlers) =>
    TlsConnection.server(
      {
        crypto: replayCrypto(base, { random: [pool.subarray(0, 32)], keys: pool.subarray(32) }),
        nowMs: () => TRACE_TIME_MS,
        groups: ['x25519'],
        credential: {
          rawPublicKey: shownKey(trace),
          key: replayKey('ec-p256', base, trace['Server_MessageSignature']),
        },
        rawPublicKeyVerifier,
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
  server.receive(trace['Record_ClientFinished']!)
  assert.deepEqual(server.events, ['established'])
  server.connection.close()
  assert.equal(server.taken(), toHex(trace['Record_Server_CloseNotify']!))
  server.receive(trace['Record_Client_CloseNotify']!)
  assert.deepEqual(server.events, ['established', 'closed'])
  return rawPublicKeyVerifier.seen!
}

function replayRawClient(base: CryptoProvider, rawPublicKey: Uint8Array): void {
  const trace = readTrace(RAW)
  const rawPublicKeyVerifier = new Welcoming()
  const client = new ReplayedSide((handlers) =>
    TlsConnection.client(
      {
        crypto: replayCrypto(base, { keys: trace['Client_RNG_Pool']!.subarray(32) }),
        nowMs: () => TRACE_TIME_MS,
        verifier: trusting,
        rawPublicKeyVerifier,
        groups: ['x25519'],
        credential: {
          rawPublicKey,
          key: replayKey('ec-p256', base, trace['Client_MessageSignature']),
        },
      },
      handlers,
      rewriter(trace),
    ),
  )
  assert.equal(client.taken(), toHex(trace['Record_ClientHello_1']!))
  client.receive(trace['Record_ServerHello']!)
  client.receive(trace['Record_ServerHandshakeMessages']!)
  assert.deepEqual(client.events, ['established'])
  assert.equal(toHex(rawPublicKeyVerifier.seen!), toHex(shownKey(trace)))
  assert.equal(client.taken(), toHex(trace['Record_ClientFinished']!))
  client.connection.close()
  assert.equal(client.taken(), toHex(trace['Record_Client_CloseNotify']!))
  client.receive(trace['Record_Server_CloseNotify']!)
  assert.deepEqual(client.events, ['established', 'closed'])
}

/** RFC 7250: the one entry is the key itself. */
function shownKey(trace: Trace): Uint8Array {
  const { entries } = decodeCertificate(asMessage(trace['Message_Server_Certificate']!).body)
  return entries[0]!.certificate
}

/**
 * We import keys that were given beforehand (RFC 9258), as the trace does not; its key goes in as that of a ticket.
 * Only the label of the binder is another one, and the hello is that of the trace.
 */
function ticketOf(trace: Trace): Omit<ClientTicket, 'receivedAtMs'> & Omit<ServerTicketState, 'issuedAtMs'> {
  return {
    ticket: utf8('rfc8448'),
    preSharedKey: trace['PskSecret']!.slice(),
    cipherSuite: 'TLS_AES_128_GCM_SHA256',
    serverName: 'server',
    ageAdd: 0,
    maxEarlyDataBytes: 0,
    expiresAtMs: TRACE_TIME_MS + 1,
  }
}

function replayPskClient(base: CryptoProvider): void {
  const trace = readTrace(PSK)
  const peer = { name: 'whoever has the key', expiresAtMs: TRACE_TIME_MS + 1, path: [] }
  const ticket: ClientTicket = { ...ticketOf(trace), receivedAtMs: TRACE_TIME_MS, peer }
  const tickets = [ticket]
  const client = new ReplayedSide((handlers) =>
    TlsConnection.client(
      {
        crypto: replayCrypto(base, { keys: trace['Client_RNG_Pool']!.subarray(32) }),
        nowMs: () => TRACE_TIME_MS,
        verifier: trusting,
        serverName: 'server',
        groups: ['x25519'],
        tickets: { put: () => undefined, take: () => tickets.pop() },
      },
      handlers,
      rewriter(trace),
    ),
  )
  assert.equal(client.taken(), toHex(trace['Record_ClientHello_1']!))
  client.receive(trace['Record_ServerHello']!)
  client.receive(trace['Record_ServerHandshakeMessages']!)
  assert.deepEqual(client.events, ['established'])
  assert.equal(client.taken(), toHex(trace['Record_ClientFinished']!))
  client.connection.send(trace['Client_AppData']!)
  assert.equal(client.taken(), toHex(trace['Record_Client_AppData']!))
  client.receive(trace['Record_Server_AppData']!)
  client.connection.close()
  assert.equal(client.taken(), toHex(trace['Record_Client_CloseNotify']!))
  client.receive(trace['Record_Server_CloseNotify']!)
  assert.deepEqual(client.events, ['established', `data ${toHex(trace['Server_AppData']!)}`, 'closed'])
}

/** The binder of a key that is not imported has a label of its own, so that nobody takes it for a ticket. */
function refusePsk(base: CryptoProvider): void {
  const trace = readTrace(PSK)
  const pool = trace['Server_RNG_Pool']!
  const server = new ReplayedSide((handlers) =>
    TlsConnection.server(
      {
        crypto: replayCrypto(base, { random: [pool.subarray(0, 32)], keys: pool.subarray(32) }),
        nowMs: () => TRACE_TIME_MS,
        groups: ['x25519'],
        credential: () => assert.fail('The key is known'),
        tickets: {
          store: {
            isSingleUse: true,
            issue: () => assert.fail('Nothing is established'),
            redeem: () => ({ ...ticketOf(trace), issuedAtMs: TRACE_TIME_MS }),
          },
        },
      },
      handlers,
    ),
  )
  server.receive(trace['Record_ClientHello_1']!)
  assert.match(server.events.join(), /^TLS_BAD_BINDER: /)
}
