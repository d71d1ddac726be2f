import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import test, { type TestContext } from 'node:test'
import { AlertDescription, type AlertName } from '../../src/tls/alerts.ts'
import { CATALOG } from '../cmd/tls-files.ts'
import { plainRecord, splitRecords } from '../support/tls-records.ts'
import { alertNumberIn, opensslFlags } from './peers/openssl.ts'
import { checkClientRefused, checkServerRefused, refusalFiles, SECRET } from './refusals.ts'
import { startRelay, type Meddle } from './relay.ts'
import { connectTo, opensslClient, opensslServer, serveOnce, WITHOUT_OPENSSL } from './tools.ts'

const HANDSHAKE = 22
const APPLICATION_DATA = 23

const RECORD_HEADER_BYTES = 5

const HTTP = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** A handshake message's header, and as much of its body as is worth sending. */
function message(type: number, length: number, body: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(type, length >>> 16, length >>> 8, length), body])
}

const CLIENT_HELLO = 1
const SERVER_HELLO = 2

/** What RFC 5246 §7.4.1 has, without any extension: as a stack sends it that knows nothing newer than TLS 1.2. */
const OLD_CLIENT_HELLO = Buffer.concat([
  Uint8Array.of(3, 3),
  Buffer.alloc(32, 0x5a),
  Uint8Array.of(0, 0, 2, 0xc0, 0x2b, 1, 0),
])
const OLD_SERVER_HELLO = Buffer.concat([
  Uint8Array.of(3, 3),
  Buffer.alloc(32, 0x5a),
  Uint8Array.of(0, 0xc0, 0x2b, 0),
])

interface Row {
  readonly what: string
  readonly sent: Uint8Array
  /** Whether the peer then ends the connection rather than waiting. */
  readonly ends?: true
  readonly cause: string
  /** Undefined where nobody could read one. */
  readonly alert?: AlertName
}

/** Wrong for a server and for a client alike. */
const EITHER: readonly Row[] = [
  {
    what: 'a record longer than any may be',
    sent: Buffer.concat([Uint8Array.of(HANDSHAKE, 3, 3, 0xff, 0xff), Buffer.alloc(64)]),
    cause: 'TLS_RECORD_OVERFLOW',
    alert: 'record_overflow',
  },
  {
    what: 'application data before any handshake',
    sent: plainRecord(APPLICATION_DATA, Buffer.from(SECRET)),
    cause: 'TLS_UNEXPECTED_MESSAGE',
    alert: 'unexpected_message',
  },
  { what: 'an end before any byte', sent: new Uint8Array(), ends: true, cause: 'TLS_HANDSHAKE_TRUNCATED' },
]

const TO_SERVER: readonly Row[] = [
  ...EITHER,
  { what: 'HTTP', sent: Buffer.from(HTTP), cause: 'TLS_NOT_TLS', alert: 'unexpected_message' },
  { what: 'garbage', sent: Buffer.alloc(512, 0xa7), cause: 'TLS_NOT_TLS', alert: 'unexpected_message' },
  {
    what: 'garbage in a record',
    sent: plainRecord(HANDSHAKE, message(CLIENT_HELLO, 64, Buffer.alloc(64, 0xa7))),
    cause: 'TLS_DECODE_ERROR',
    alert: 'decode_error',
  },
  {
    what: 'a ClientHello longer than any that is read',
    sent: plainRecord(HANDSHAKE, message(CLIENT_HELLO, 0xff_ff_ff, Buffer.alloc(1_000))),
    cause: 'TLS_MESSAGE_TOO_LONG',
    alert: 'illegal_parameter',
  },
  {
    what: 'a ClientHello of TLS 1.2',
    sent: plainRecord(HANDSHAKE, message(CLIENT_HELLO, OLD_CLIENT_HELLO.length, OLD_CLIENT_HELLO)),
    cause: 'TLS_NO_COMMON_VERSION',
    alert: 'protocol_version',
  },
  {
    what: 'half a ClientHello',
    sent: plainRecord(
      HANDSHAKE,
      message(CLIENT_HELLO, OLD_CLIENT_HELLO.length, OLD_CLIENT_HELLO.subarray(0, 20)),
    ),
    ends: true,
    cause: 'TLS_HANDSHAKE_TRUNCATED',
  },
]

test('tls serve refuses, on a raw socket,', { concurrency: 2 }, async (t) => {
  const files = await refusalFiles(t)
  await Promise.all(
    TO_SERVER.map((row) =>
      t.test(titleOf(row), async (t) => {
        const server = await serveOnce(t, files.catalog, ['--ca', files.ca, '--require-client-cert'])
        const socket = connect(server.port, '127.0.0.1')
        t.after(() => socket.destroy())
        assert.deepEqual(await say(socket, row), expectedAnswer(row))
        checkServerRefused(await server.process.ended(), row.cause)
      }),
    ),
  )
})

const TO_CLIENT: readonly Row[] = [
  ...EITHER,
  {
    what: 'an HTTP answer',
    sent: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    cause: 'TLS_NOT_TLS',
    alert: 'unexpected_message',
  },
  {
    what: 'garbage in a record',
    sent: plainRecord(HANDSHAKE, message(SERVER_HELLO, 64, Buffer.alloc(64, 0xa7))),
    cause: 'TLS_DECODE_ERROR',
    alert: 'decode_error',
  },
  {
    what: 'a ServerHello longer than any that is read',
    sent: plainRecord(HANDSHAKE, message(SERVER_HELLO, 0xff_ff_ff, Buffer.alloc(1_000))),
    cause: 'TLS_MESSAGE_TOO_LONG',
    alert: 'illegal_parameter',
  },
  {
    what: 'a ServerHello of TLS 1.2',
    sent: plainRecord(HANDSHAKE, message(SERVER_HELLO, OLD_SERVER_HELLO.length, OLD_SERVER_HELLO)),
    cause: 'TLS_NO_COMMON_VERSION',
    alert: 'protocol_version',
  },
]

test('tls connect refuses, from a raw socket,', { concurrency: 2 }, async (t) => {
  const files = await refusalFiles(t)
  await Promise.all(
    TO_CLIENT.map((row) =>
      t.test(titleOf(row), async (t) => {
        const { port, answer } = await rawServer(t, row)
        const client = connectTo(t, port, '--ca', files.ca, '--spiffe-id', CATALOG, files.web)
        client.end(SECRET)
        checkClientRefused(await client.ended(), row.cause)
        assert.deepEqual(await answer, expectedAnswer(row))
      }),
    ),
  )
})

/** What our side says of a handshake that was harmed on its way, and the alert that OpenSSL read from us. */
interface Verdict {
  readonly cause: string
  readonly alert?: AlertName
}

/** Harm that a relay does to a handshake between OpenSSL and us. */
const HARM: readonly {
  readonly what: string
  readonly meddle: Meddle
  /** When we are the server. */
  readonly server: Verdict
  readonly client: Verdict
}[] = [
  {
    what: 'that is cut in the middle',
    meddle: (from, chunk) => (from === 'server' ? undefined : chunk),
    server: { cause: 'TLS_HANDSHAKE_TRUNCATED' },
    client: { cause: 'TLS_HANDSHAKE_TRUNCATED' },
  },
  {
    what: "with one bit changed in the server's flight",
    meddle: (from, chunk) => (from === 'server' ? harmSealed(chunk) : chunk),
    server: { cause: 'TLS_PEER_ALERT' },
    client: { cause: 'TLS_BAD_RECORD_MAC', alert: 'bad_record_mac' },
  },
  {
    what: "with one bit changed in the client's second flight",
    meddle: (from, chunk) => (from === 'client' ? harmSealed(chunk) : chunk),
    server: { cause: 'TLS_BAD_RECORD_MAC', alert: 'bad_record_mac' },
    client: { cause: 'TLS_PEER_ALERT' },
  },
  {
    what: 'with one bit changed in the random of the ClientHello',
    meddle: (from, chunk, number) =>
      from === 'client' && number === 1 ? flipBit(chunk, RANDOM_OFFSET) : chunk,
    server: { cause: 'TLS_PEER_ALERT' },
    // The two sides have different keys, so OpenSSL cannot read which alert it is.
    client: { cause: 'TLS_BAD_RECORD_MAC' },
  },
]

/** After the headers of record and message, and legacy_version. */
const RANDOM_OFFSET = RECORD_HEADER_BYTES + 4 + 2

test('tls serve and OpenSSL refuse a handshake', { concurrency: 2, skip: WITHOUT_OPENSSL }, async (t) => {
  const files = await refusalFiles(t)
  await Promise.all(
    HARM.map(({ what, meddle, server: { cause, alert } }) =>
      t.test(what, async (t) => {
        const server = await serveOnce(t, files.catalog, ['--ca', files.ca, '--require-client-cert'])
        const port = await startRelay(t, server.port, meddle)
        const client = opensslClient(t, port, opensslFlags(files, files.web))
        client.write(SECRET)
        const { stdout, stderr } = await client.ended()
        assert.doesNotMatch(stdout, new RegExp(`^${SECRET}`, 'm'))
        if (alert !== undefined) assert.equal(alertNumberIn(stderr), AlertDescription[alert], stderr)
        checkServerRefused(await server.process.ended(), cause)
      }),
    ),
  )
})

test('tls connect and OpenSSL refuse a handshake', { concurrency: 2, skip: WITHOUT_OPENSSL }, async (t) => {
  const files = await refusalFiles(t)
  await Promise.all(
    HARM.map(({ what, meddle, client: { cause, alert } }) =>
      t.test(what, async (t) => {
        const server = await opensslServer(t, opensslFlags(files, files.catalog), '-Verify', '4')
        const port = await startRelay(t, server.port, meddle)
        // It says nothing: an OpenSSL that closes with something unread resets the connection under its own alert.
        const client = connectTo(t, port, '--ca', files.ca, '--spiffe-id', CATALOG, files.web)
        checkClientRefused(await client.ended(), cause)
        const { stdout, stderr } = await server.process.ended()
        assert.doesNotMatch(stdout, /CIPHER is/)
        if (alert !== undefined) assert.equal(alertNumberIn(stderr), AlertDescription[alert], stderr)
      }),
    ),
  )
})

function titleOf({ what, cause, alert }: Row): string {
  return `${what}: ${cause}${alert === undefined ? '' : `, ${alert}`}`
}

/** Says it, and returns all that comes back until the end. */
async function say(socket: Socket, { sent, ends }: Row): Promise<Buffer> {
  socket.write(sent)
  if (ends) socket.end()
  return buffer(socket)
}

/** One fatal alert in a record without protection, and nothing else. */
function expectedAnswer({ alert }: Row): Buffer {
  if (alert === undefined) return Buffer.alloc(0)
  return Buffer.from(plainRecord(21, Uint8Array.of(2, AlertDescription[alert])))
}

/** A server that reads one record, a ClientHello, says something else than TLS would, and keeps what is answered. */
async function rawServer(
  t: TestContext,
  row: Row,
): Promise<{ readonly port: number; readonly answer: Promise<Buffer> }> {
  const { promise: answer, resolve, reject } = Promise.withResolvers<Buffer>()
  const server = createServer((socket) => {
    t.after(() => socket.destroy())
    socket.once('data', (hello: Buffer) => {
      assert.equal(hello[0], HANDSHAKE)
      assert.equal(hello.readUInt16BE(3), hello.length - 5, 'The ClientHello came in more than one piece')
      say(socket, row).then(resolve, reject)
    })
  })
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, answer }
}

/** Changes the first protected record, where there is one; what is read at once begins with a record. */
function harmSealed(flight: Buffer): Buffer {
  let offset = 0
  for (const record of splitRecords(flight)) {
    if (record[0] === APPLICATION_DATA) return flipBit(flight, offset + RECORD_HEADER_BYTES)
    offset += record.length
  }
  return flight
}

function flipBit(chunk: Buffer, at: number): Buffer {
  const changed = Buffer.from(chunk)
  changed[at]! ^= 1
  return changed
}
