import assert from 'node:assert/strict'
import test from 'node:test'
import { concat, toHex } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { CryptoProvider, KeyKind, PrivateKey } from '../../src/crypto/provider.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import type { CertificateVerifier } from '../../src/pki/verifier.ts'
import { TlsConnection } from '../../src/tls/connection.ts'
import type { ConnectionHandlers } from '../../src/tls/handlers.ts'
import { decodeCertificate } from '../../src/tls/messages/authentication.ts'
import { asMessage } from '../../src/tls/messages/handshake-message.ts'
import type { Credential } from '../../src/tls/options.ts'
import { HandshakeType } from '../../src/tls/registry.ts'
import { readTrace, readTraceCertificate, replayCrypto, skipTraces, type Trace } from '../support/rfc8448.ts'

const RECORD_HEADER_BYTES = 5

/** The certificates of the traces have long expired; this test is about bytes, not about trust. */
const trusting: CertificateVerifier = {
  verify: (chain) => ({ name: chain[0]!.subject.text, expiresAtMs: chain[0]!.notAfterMs, path: chain }),
}

interface Recorder {
  readonly handlers: ConnectionHandlers
  /** What went out since the last call. */
  taken(): string
  readonly data: Uint8Array[]
  readonly events: string[]
}

function recorder(): Recorder {
  let output: Uint8Array[] = []
  const data: Uint8Array[] = []
  const events: string[] = []
  return {
    data,
    events,
    taken() {
      const all = toHex(concat(...output))
      output = []
      return all
    },
    handlers: {
      output: (bytes) => output.push(bytes),
      established: () => events.push('established'),
      data: (bytes) => data.push(bytes.slice()),
      peerClosed: () => events.push('closed'),
      failed: (error) => events.push(`${error.code}: ${error.message}`),
    },
  }
}

/** A key that "signs" what the trace says it signed. */
function replayKey(kind: KeyKind, crypto: CryptoProvider, signature: Uint8Array | undefined): PrivateKey {
  return {
    kind,
    publicKey: crypto.generateKey('ec-p256').publicKey,
    sign: () => signature!,
    exportPkcs8: () => new Uint8Array(0),
  }
}

function serverCredential(trace: Trace, kind: KeyKind, crypto: CryptoProvider): Credential {
  const { entries } = decodeCertificate(asMessage(trace['Message_Server_Certificate']!).body)
  const chain = entries.map((entry) => parseCertificate(entry.certificate))
  return { chain, key: replayKey(kind, crypto, trace['Server_MessageSignature']) }
}

function clientCredential(trace: Trace, crypto: CryptoProvider): Credential {
  const chain = [parseCertificate(readTraceCertificate('client_certificate.pem'))]
  return { chain, key: replayKey('rsa', crypto, trace['Client_MessageSignature']) }
}

/** The handshake messages that the trace's plaintext records hold, by type; the rest are given whole. */
function rewriter(trace: Trace): (message: Uint8Array) => Uint8Array {
  const hellos = [trace['Record_ClientHello_1'], trace['Record_ClientHello_2']]
  return (message) => {
    switch (message[0]!) {
      case HandshakeType.client_hello:
        return hellos.shift()!.subarray(RECORD_HEADER_BYTES)
      case HandshakeType.server_hello:
        return trace['Record_HelloRetryRequest'] !== undefined && isRetry(message)
          ? trace['Record_HelloRetryRequest'].subarray(RECORD_HEADER_BYTES)
          : message
      case HandshakeType.encrypted_extensions:
        return trace['Message_EncryptedExtensions']!
      case HandshakeType.certificate_request:
        return trace['Message_CertificateRequest']!
      default:
        return message
    }
  }
}

function isRetry(message: Uint8Array): boolean {
  return toHex(message.subarray(6, 10)) === 'cf21ad74'
}

interface Scenario {
  readonly section: string
  readonly serverKey: KeyKind
  readonly clientAuthentication?: true
  /** Where the client's pool holds its ephemeral keys: behind its random, and its session id if it has one. */
  readonly clientKeysAt: number
}

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

for (const [name, base] of [
  ['native', nativeCrypto()],
  ['portable', portableCrypto()],
] as const) {
  for (const scenario of SCENARIOS) {
    test(
      `TlsConnection as client replays ${scenario.section} byte for byte (${name})`,
      { skip: skipTraces },
      () => {
        replayClient(scenario, base)
      },
    )
    test(
      `TlsConnection as server replays ${scenario.section} byte for byte (${name})`,
      { skip: skipTraces },
      () => {
        replayServer(scenario, base)
      },
    )
  }
}

function replayClient({ section, clientAuthentication, clientKeysAt }: Scenario, base: CryptoProvider): void {
  const trace = readTrace(section)
  const record = recorder()
  const client = TlsConnection.client(
    {
      crypto: replayCrypto(base, { keys: trace['Client_RNG_Pool']!.subarray(clientKeysAt) }),
      nowMs: () => 0,
      verifier: trusting,
      groups: ['x25519', 'secp256r1'],
      ...(clientAuthentication ? { credential: clientCredential(trace, base) } : {}),
    },
    record.handlers,
    rewriter(trace),
  )
  client.start()
  assert.equal(record.taken(), toHex(trace['Record_ClientHello_1']!))
  if (trace['Record_HelloRetryRequest'] !== undefined) {
    client.receive(trace['Record_HelloRetryRequest'].slice())
    assert.equal(record.taken(), toHex(trace['Record_ClientHello_2']!))
  }
  client.receive(trace['Record_ServerHello']!.slice())
  client.receive(trace['Record_ServerHandshakeMessages']!.slice())
  assert.deepEqual(record.events, ['established'])
  assert.equal(record.taken(), toHex(trace['Record_ClientFinished']!))

  if (trace['Record_NewSessionTicket'] !== undefined) client.receive(trace['Record_NewSessionTicket'].slice())
  if (trace['Client_AppData'] !== undefined) {
    client.send(trace['Client_AppData'])
    assert.equal(record.taken(), toHex(trace['Record_Client_AppData']!))
    client.receive(trace['Record_Server_AppData']!.slice())
    assert.deepEqual(record.data.map(toHex), [toHex(trace['Server_AppData']!)])
  }
  client.close()
  assert.equal(record.taken(), toHex(trace['Record_Client_CloseNotify']!))
  client.receive(trace['Record_Server_CloseNotify']!.slice())
  assert.deepEqual(record.events, ['established', 'closed'])
}

function replayServer({ section, serverKey, clientAuthentication }: Scenario, base: CryptoProvider): void {
  const trace = readTrace(section)
  const record = recorder()
  const pool = trace['Server_RNG_Pool']!
  const server = TlsConnection.server(
    {
      crypto: replayCrypto(base, { random: pool.subarray(0, 32), keys: pool.subarray(32) }),
      nowMs: () => 0,
      groups: section.startsWith('HelloRetry') ? ['secp256r1'] : ['x25519'],
      credential: () => serverCredential(trace, serverKey, base),
      ...(clientAuthentication ? { clientVerifier: trusting } : {}),
    },
    record.handlers,
    rewriter(trace),
  )
  server.start()
  server.receive(trace['Record_ClientHello_1']!.slice())
  if (trace['Record_HelloRetryRequest'] !== undefined) {
    assert.equal(record.taken(), toHex(trace['Record_HelloRetryRequest']))
    server.receive(trace['Record_ClientHello_2']!.slice())
  }
  assert.equal(
    record.taken(),
    toHex(concat(trace['Record_ServerHello']!, trace['Record_ServerHandshakeMessages']!)),
  )
  server.receive(trace['Record_ClientFinished']!.slice())
  assert.deepEqual(record.events, ['established'])

  if (trace['Client_AppData'] !== undefined) {
    server.receive(trace['Record_Client_AppData']!.slice())
    assert.deepEqual(record.data.map(toHex), [toHex(trace['Client_AppData'])])
  }
  server.receive(trace['Record_Client_CloseNotify']!.slice())
  assert.deepEqual(record.events, ['established', 'closed'])
  // The simple trace sends a ticket first, so that its later server records have other sequence numbers than ours.
  if (trace['Record_NewSessionTicket'] !== undefined) return
  server.close()
  assert.equal(record.taken(), toHex(trace['Record_Server_CloseNotify']!))
}
