import assert from 'node:assert/strict'
import test from 'node:test'
import { concat } from '../../src/bytes/bytes.ts'
import type { MessageRewriter } from '../../src/tls/handlers.ts'
import { decodeCertificateRequest, encodeCertificateRequest } from '../../src/tls/messages/authentication.ts'
import { decodeClientHello, encodeClientHello } from '../../src/tls/messages/client-hello.ts'
import { encodeEncryptedExtensions } from '../../src/tls/messages/encrypted-extensions.ts'
import { Extensions, type ExtendedMessage } from '../../src/tls/messages/extensions.ts'
import { asMessage, encodeMessage } from '../../src/tls/messages/handshake-message.ts'
import {
  decodeServerHello,
  encodeServerHello,
  type ServerHello,
} from '../../src/tls/messages/server-hello.ts'
import { ContentType, HandshakeType, NamedGroup, type HandshakeType as Type } from '../../src/tls/registry.ts'
import { readExtensions } from '../support/tls-arbitraries.ts'
import { plainRecord, RecordForger } from '../support/tls-records.ts'
import { TlsPair, type Role, type TlsPairOptions, type Wire } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()

/** The messages of a mutual handshake, by sender and in order. */
const FLIGHTS: Readonly<Record<Role, readonly (keyof typeof HandshakeType)[]>> = {
  client: ['client_hello', 'certificate', 'certificate_verify', 'finished'],
  server: [
    'server_hello',
    'encrypted_extensions',
    'certificate_request',
    'certificate',
    'certificate_verify',
    'finished',
  ],
}

interface Fault {
  readonly options: TlsPairOptions
  readonly wire: Wire
}

/** Changes the messages of one type that `sender` sends. */
function rewriting(
  sender: Role,
  type: keyof typeof HandshakeType,
  change: MessageRewriter,
  options: TlsPairOptions = {},
): Fault {
  const client = { groups: ['x25519'] as const, ...options.client }
  if (type === 'client_hello') {
    // A client reads its own hello again; so this one is changed on the wire, where it is in plaintext.
    const wire: Wire = (from, bytes) =>
      from === 'client' && bytes[5] === HandshakeType.client_hello
        ? [plainRecord(ContentType.handshake, change(bytes.slice(5)))]
        : [bytes]
    return { options: { ...options, client }, wire }
  }
  const rewrite: MessageRewriter = (message) =>
    message[0] === HandshakeType[type] ? change(message) : message
  const rewriter = sender === 'client' ? { rewriteClient: rewrite } : { rewriteServer: rewrite }
  return { options: { ...options, client, untraced: true, ...rewriter }, wire: (_from, bytes) => [bytes] }
}

/** The side that is spoken to refuses, with one of `codes`, and is never established nor given data. */
function checkRefused({ options, wire }: Fault, sender: Role, codes: RegExp, what: string): TlsPair {
  const pair = new TlsPair(workloads, options).run(wire)
  const [receiving, sending] = sender === 'client' ? [pair.server, pair.client] : [pair.client, pair.server]
  if (receiving.calls.length === 0) receiving.connection.receiveEnd()
  assert.match(receiving.calls.join(), codes, what)
  assert.equal(receiving.calls.length, 1, what)
  assert.equal(receiving.session, undefined, what)
  const { alert } = receiving.error!
  if (alert !== undefined) assert.equal(sending.error?.received, alert, what)
  assert.ok(!sending.calls.some((call) => call.startsWith('data')), what)
  return pair
}

const TYPED_REFUSAL =
  /^failed TLS_(UNEXPECTED_MESSAGE|DECODE_ERROR|ILLEGAL_PARAMETER|MISSING_EXTENSION|BAD_FINISHED|BAD_SIGNATURE|NO_COMMON_VERSION|UNSOLICITED_EXTENSION)$/

test('TlsConnection refuses every other message in the place of each message', () => {
  for (const sender of ['client', 'server'] as const) {
    for (const place of FLIGHTS[sender]) {
      for (const other of [...Object.keys(HandshakeType), 'unknown'] as (
        | keyof typeof HandshakeType
        | 'unknown'
      )[]) {
        if (other === place) continue
        const code = other === 'unknown' ? 99 : HandshakeType[other]
        for (const body of [new Uint8Array(0), undefined]) {
          const change: MessageRewriter = (message) =>
            encodeMessage(code as Type, (contents) => contents.bytes(body ?? asMessage(message).body))
          // A server may leave out its CertificateRequest: then what comes is a Certificate, and judged as one.
          const allowed = place === 'certificate_request' && other === 'certificate'
          const codes = allowed ? TYPED_REFUSAL : /^failed TLS_UNEXPECTED_MESSAGE$/
          checkRefused(rewriting(sender, place, change), sender, codes, `${other} in place of ${place}`)
        }
      }
    }
  }
})

test('TlsConnection refuses every message that is squeezed in before another', () => {
  for (const sender of ['client', 'server'] as const) {
    for (const place of FLIGHTS[sender]) {
      for (const [name, code] of Object.entries(HandshakeType)) {
        const squeezed = encodeMessage(code, (contents) => contents.uint8(0))
        const fault = rewriting(sender, place, (message) => concat(squeezed, message))
        checkRefused(fault, sender, TYPED_REFUSAL, `${name} before ${place}`)
      }
    }
  }
})

test('TlsConnection refuses a message said twice', () => {
  for (const sender of ['client', 'server'] as const) {
    for (const place of FLIGHTS[sender]) {
      // Behind a Finished lies the open connection, which says so itself.
      if (place === 'finished') continue
      const fault = rewriting(sender, place, (message) => concat(message, message))
      checkRefused(fault, sender, /^failed TLS_UNEXPECTED_MESSAGE$/, `${place} twice`)
    }
  }
})

test('TlsConnection refuses a flight from which a message is left out', () => {
  for (const sender of ['client', 'server'] as const) {
    for (const place of FLIGHTS[sender].slice(1)) {
      // Nobody is made to ask for a certificate; what follows then is a client's that was not asked for.
      if (place === 'certificate_request') continue
      const fault = rewriting(sender, place, () => new Uint8Array(0))
      checkRefused(
        fault,
        sender,
        /^failed TLS_(UNEXPECTED_MESSAGE|HANDSHAKE_TRUNCATED|BAD_RECORD_MAC)$/,
        `without ${place}`,
      )
    }
  }
})

test('TlsConnection refuses a message that goes on behind its last field, or stops before it', () => {
  for (const sender of ['client', 'server'] as const) {
    for (const place of FLIGHTS[sender]) {
      for (const change of [
        (body: Uint8Array) => concat(body, Uint8Array.of(0)),
        (body: Uint8Array) => body.slice(0, -1),
      ]) {
        const fault = rewriting(sender, place, (message) =>
          encodeMessage(HandshakeType[place], (contents) => contents.bytes(change(asMessage(message).body))),
        )
        const code = place === 'finished' ? /TLS_BAD_FINISHED$/ : /TLS_DECODE_ERROR$/
        checkRefused(fault, sender, code, place)
      }
    }
  }
})

test('TlsConnection refuses a Finished or a CertificateVerify in which a byte differs', () => {
  for (const sender of ['client', 'server'] as const) {
    for (const [place, code] of [
      ['finished', 'TLS_BAD_FINISHED'],
      ['certificate_verify', 'TLS_BAD_SIGNATURE'],
    ] as const) {
      const fault = rewriting(sender, place, (message) => {
        const changed = message.slice()
        changed[changed.length - 1]! ^= 1
        return changed
      })
      const pair = checkRefused(fault, sender, new RegExp(`^failed ${code}$`), place)
      assert.equal((sender === 'client' ? pair.server : pair.client).error!.alert, 'decrypt_error')
    }
  }
})

test('TlsConnection refuses every handshake message on an open connection, except those of RFC 8446 §4.6', () => {
  for (const role of ['client', 'server'] as const) {
    for (const code of [...Object.values(HandshakeType), 99]) {
      using pair = new TlsPair(workloads).run()
      const [from, to] = role === 'client' ? [pair.server, pair.client] : [pair.client, pair.server]
      const label = role === 'client' ? 'SERVER_TRAFFIC_SECRET_0' : 'CLIENT_TRAFFIC_SECRET_0'
      using forger = new RecordForger(from, label, 'TLS_AES_128_GCM_SHA256')
      const message = encodeMessage(code as Type, (body) => body.uint8(0))
      to.connection.receive(forger.seal(ContentType.handshake, message))
      const ticket = role === 'client' && code === HandshakeType.new_session_ticket
      const expected = ticket ? 'failed TLS_DECODE_ERROR' : 'failed TLS_UNEXPECTED_MESSAGE'
      const calls = code === HandshakeType.key_update ? ['established'] : ['established', expected]
      assert.deepEqual(to.calls, calls, `message ${code} to the ${role}`)
    }
  }
})

test('TlsConnection as client refuses answers that were not asked for', () => {
  const unsolicited = { type: 0x1234, contents: new Uint8Array(0) }
  const inHello: MessageRewriter = (message) => {
    const hello = decodeServerHello(asMessage(message).body) as ServerHello
    return encodeServerHello({ ...hello, extensions: joined('server_hello', hello.extensions, unsolicited) })
  }
  checkRefused(rewriting('server', 'server_hello', inHello), 'server', /TLS_UNSOLICITED_EXTENSION$/, 'SH')
  const alpn = new Extensions('encrypted_extensions').add('application_layer_protocol_negotiation', ['h2'])
  for (const extensions of [readExtensions('encrypted_extensions', [unsolicited]), alpn]) {
    const fault = rewriting('server', 'encrypted_extensions', () => encodeEncryptedExtensions(extensions))
    checkRefused(fault, 'server', /TLS_UNSOLICITED_EXTENSION$/, 'EE')
  }
  for (const sender of ['client', 'server'] as const) {
    const fault = rewriting(sender, 'certificate', withEntryExtension)
    checkRefused(fault, sender, /TLS_UNSOLICITED_EXTENSION$/, 'CT')
  }
})

function joined<Message extends ExtendedMessage>(
  message: Message,
  extensions: Extensions<Message>,
  more: { readonly type: number; readonly contents: Uint8Array },
): Extensions<Message> {
  const all = extensions.types.map((type) => ({ type, contents: extensions.contents(type)! }))
  return readExtensions(message, [...all, more])
}

/** Gives the last certificate of the message an extension that nobody asked for: its list is the message's end. */
function withEntryExtension(message: Uint8Array): Uint8Array {
  const body = asMessage(message).body
  const context = body.subarray(0, 1)
  const entries = body.subarray(4, -2)
  return encodeMessage(HandshakeType.certificate, (contents) =>
    contents
      .bytes(context)
      .vector24((list) => list.bytes(entries).vector16((set) => set.uint16(0x1234).uint16(0))),
  )
}

test('TlsConnection as client refuses a protocol it did not offer, or several', () => {
  for (const chosen of [['smtp'], ['h2', 'http/1.1']]) {
    const fault = rewriting(
      'server',
      'encrypted_extensions',
      () =>
        encodeEncryptedExtensions(
          new Extensions('encrypted_extensions').add('application_layer_protocol_negotiation', chosen),
        ),
      { client: { alpn: ['h2', 'http/1.1'] } },
    )
    checkRefused(fault, 'server', /TLS_ILLEGAL_PARAMETER$/, chosen.join())
  }
})

test('TlsConnection as client refuses a ServerHello that contradicts its offer', () => {
  const share = (group: number, bytes: Uint8Array) => (hello: ServerHello) => ({
    ...hello,
    extensions: Extensions.from(hello.extensions).add('key_share', { group, share: bytes }),
  })
  const offCurve = new Uint8Array(65).fill(1)
  offCurve[0] = 4
  const cases: readonly [string, (hello: ServerHello) => ServerHello, string][] = [
    ['session id', (hello) => ({ ...hello, sessionId: new Uint8Array(32) }), 'TLS_ILLEGAL_PARAMETER'],
    ['no session id', (hello) => ({ ...hello, sessionId: new Uint8Array(0) }), 'TLS_ILLEGAL_PARAMETER'],
    ['suite', (hello) => ({ ...hello, cipherSuite: 0x1305 }), 'TLS_ILLEGAL_PARAMETER'],
    ['compression', (hello) => ({ ...hello, compressionMethod: 1 }), 'TLS_DECODE_ERROR'],
    ['legacy version', (hello) => ({ ...hello, legacyVersion: 0x0304 }), 'TLS_ILLEGAL_PARAMETER'],
    [
      'version',
      (hello) => ({
        ...hello,
        extensions: Extensions.from(hello.extensions).add('supported_versions', 0x0303),
      }),
      'TLS_ILLEGAL_PARAMETER',
    ],
    ['a group not shared', share(NamedGroup.secp256r1, offCurve), 'TLS_ILLEGAL_PARAMETER'],
    ['a share of zeros', share(NamedGroup.x25519, new Uint8Array(32)), 'TLS_BAD_KEY_SHARE'],
    ['a share too short', share(NamedGroup.x25519, new Uint8Array(31)), 'TLS_BAD_KEY_SHARE'],
    [
      'no share',
      (hello) => ({ ...hello, extensions: new Extensions('server_hello').add('supported_versions', 0x0304) }),
      'TLS_MISSING_EXTENSION',
    ],
  ]
  for (const [name, change, code] of cases) {
    const fault = rewriting('server', 'server_hello', (message) =>
      encodeServerHello(change(decodeServerHello(asMessage(message).body) as ServerHello)),
    )
    checkRefused(fault, 'server', new RegExp(`^failed ${code}$`), name)
  }
})

test('TlsConnection refuses key shares that lead to no secret, or to a forbidden one', () => {
  const offCurve = new Uint8Array(65).fill(1)
  offCurve[0] = 4
  const shares = [
    ['x25519', new Uint8Array(32)],
    ['x25519', Uint8Array.from([1, ...new Uint8Array(31)])],
    ['secp256r1', offCurve],
    ['secp256r1', new Uint8Array(65)],
    ['secp384r1', new Uint8Array(97).fill(4)],
    ['X25519MLKEM768', new Uint8Array(1216)],
    ['X25519MLKEM768', new Uint8Array(10)],
    ['secp521r1', Uint8Array.from([4, ...new Uint8Array(132).fill(1)])],
    ['secp521r1', new Uint8Array(97).fill(4)],
    ['MLKEM1024', new Uint8Array(1568).fill(0xff)],
    ['MLKEM1024', new Uint8Array(1184)],
    ['SecP256r1MLKEM768', new Uint8Array(1249)],
    ['SecP384r1MLKEM1024', new Uint8Array(1664)],
  ] as const
  for (const [group, bytes] of shares) {
    const change: MessageRewriter = (message) => {
      const hello = decodeClientHello(asMessage(message).body)
      const share = { group: NamedGroup[group], share: bytes }
      const extensions = Extensions.from(hello.extensions).add('key_share', [share])
      return encodeClientHello({ ...hello, extensions })
    }
    const both = { client: { groups: [group] }, server: { groups: [group] } }
    const fault = rewriting('client', 'client_hello', change, both)
    checkRefused(fault, 'client', /^failed TLS_BAD_KEY_SHARE$/, group)
  }
})

test('TlsConnection as client refuses a CertificateRequest that names no signatures, or has a context', () => {
  for (const [change, code] of [
    [{ extensions: new Extensions('certificate_request') }, 'TLS_MISSING_EXTENSION'],
    [{ context: Uint8Array.of(1) }, 'TLS_ILLEGAL_PARAMETER'],
  ] as const) {
    const fault = rewriting('server', 'certificate_request', (message) =>
      encodeCertificateRequest({ ...decodeCertificateRequest(asMessage(message).body), ...change }),
    )
    checkRefused(fault, 'server', new RegExp(`^failed ${code}$`), code)
  }
})
