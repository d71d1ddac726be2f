import assert from 'node:assert/strict'
import test from 'node:test'
import { toHex, utf8 } from '../../src/bytes/bytes.ts'
import type { GroupName } from '../../src/crypto/provider.ts'
import {
  decodeClientHello,
  encodeClientHello,
  type ClientHello,
} from '../../src/tls/messages/client-hello.ts'
import { Extensions } from '../../src/tls/messages/extensions.ts'
import { asMessage } from '../../src/tls/messages/handshake-message.ts'
import {
  decodeServerHello,
  encodeServerHello,
  type HelloRetryRequest,
} from '../../src/tls/messages/server-hello.ts'
import type { KeyShareEntry } from '../../src/tls/messages/extension-codecs.ts'
import { ContentType, HandshakeType, isGrease, NamedGroup } from '../../src/tls/registry.ts'
import { plainRecord, splitRecords } from '../support/tls-records.ts'
import { TlsPair, type TlsPairOptions } from '../support/tls-pair.ts'
import { mintWorkloads } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()

/** The server wants a group for which the client has sent no share. */
const RETRYING: TlsPairOptions = {
  client: { groups: ['x25519', 'secp256r1', 'secp384r1'] },
  server: { groups: ['secp256r1'] },
}

const COOKIE = utf8('a cookie of the server')

type HelloChange = (hello: ClientHello, number: 1 | 2) => ClientHello

/** Changes the client's hellos on their way out. */
function changingHello(change: HelloChange): (message: Uint8Array) => Uint8Array {
  let number: 1 | 2 = 1
  return (message) => {
    if (message[0] !== HandshakeType.client_hello) return message
    const changed = change(decodeClientHello(asMessage(message).body), number)
    number = 2
    return encodeClientHello(changed)
  }
}

/** Changes the server's HelloRetryRequest on its way out. */
function changingRetry(
  change: (retry: HelloRetryRequest) => HelloRetryRequest,
): (message: Uint8Array) => Uint8Array {
  return (message) => {
    if (message[0] !== HandshakeType.server_hello) return message
    const hello = decodeServerHello(asMessage(message).body)
    return hello.kind === 'hello_retry_request' ? encodeServerHello(change(hello)) : message
  }
}

function withCookie(retry: HelloRetryRequest): HelloRetryRequest {
  return { ...retry, extensions: Extensions.from(retry.extensions).add('cookie', COOKIE) }
}

function outcome({ client, server }: TlsPair): (string | undefined)[] {
  return [client.calls.join(), server.calls.join()]
}

test('TlsConnection retries with the group that the server asks for, whichever it is', () => {
  for (const group of ['secp256r1', 'secp384r1', 'x25519', 'X25519MLKEM768'] satisfies GroupName[]) {
    const shared = group === 'x25519' ? 'secp256r1' : 'x25519'
    using pair = new TlsPair(workloads, {
      client: { groups: [shared, group], keyShares: [shared] },
      server: { groups: [group] },
    }).run()
    assert.deepEqual(outcome(pair), ['established', 'established'])
    assert.deepEqual([pair.client.session!.group, pair.server.session!.group], [group, group])
    assert.deepEqual(pair.client.keyLog, pair.server.keyLog)
    assert.deepEqual(hellosSent(pair), [[NamedGroup[shared]], [NamedGroup[group]]])
  }
})

test('TlsConnection as client offers one key of X25519 alone and beside ML-KEM, and agrees with servers of either', () => {
  for (const group of ['x25519', 'X25519MLKEM768'] satisfies GroupName[]) {
    let shares: readonly KeyShareEntry[] = []
    using pair = new TlsPair(workloads, {
      server: { groups: [group] },
      rewriteClient: changingHello((hello) => {
        shares = hello.extensions.value('key_share')!.filter((entry) => !isGrease(entry.group))
        return hello
      }),
    }).run()
    assert.deepEqual(outcome(pair), ['established', 'established'])
    assert.equal(pair.client.session!.group, group)
    const [hybrid, classical] = shares.map(({ share }) => share)
    assert.deepEqual(hybrid!.subarray(-classical!.length), classical)
  }
})

/** The groups of the key shares in each ClientHello that went out, but for those that mean nothing. */
function hellosSent({ client }: TlsPair): number[][] {
  return client.trace.flatMap((event) =>
    event.kind === 'message' && event.direction === 'sent' && event.details.message === 'client_hello'
      ? [
          event.details.keyShares.flatMap(
            ({ group }) => (NamedGroup as Readonly<Record<string, number>>)[group] ?? [],
          ),
        ]
      : [],
  )
}

test('TlsConnection as client echoes the cookie of a HelloRetryRequest', () => {
  const cookies: (Uint8Array | undefined)[] = []
  using pair = new TlsPair(workloads, {
    ...RETRYING,
    rewriteServer: changingRetry(withCookie),
    rewriteClient: changingHello((hello) => {
      cookies.push(hello.extensions.value('cookie'))
      return hello
    }),
  }).run()
  assert.deepEqual(cookies, [undefined, COOKIE])
  assert.deepEqual(outcome(pair), ['established', 'established'])
})

test('TlsConnection as client answers a HelloRetryRequest that only sets a cookie with the same shares', () => {
  const hellos: ClientHello[] = []
  using pair = new TlsPair(workloads, {
    ...RETRYING,
    rewriteServer: changingRetry(({ extensions, ...retry }) => ({
      ...retry,
      extensions: new Extensions('hello_retry_request')
        .add('supported_versions', extensions.value('supported_versions')!)
        .add('cookie', COOKIE),
    })),
    rewriteClient: changingHello((hello) => {
      hellos.push(hello)
      return hello
    }),
  }).run()
  const [first, second] = hellos
  assert.deepEqual(second!.extensions.value('key_share'), first!.extensions.value('key_share'))
  assert.deepEqual(second!.extensions.value('cookie'), COOKIE)
  // The server had asked for another share after all.
  assert.equal(pair.server.error?.code, 'TLS_ILLEGAL_PARAMETER')
})

test('TlsConnection as server refuses a second ClientHello that changes what may not change', () => {
  const changes: Readonly<Record<string, HelloChange>> = {
    random: (hello) => ({ ...hello, random: new Uint8Array(32) }),
    legacy_session_id: (hello) => ({ ...hello, sessionId: new Uint8Array(32) }),
    cipher_suites: (hello) => ({ ...hello, cipherSuites: hello.cipherSuites.slice(1) }),
    supported_groups: (hello) => changed(hello, (set) => set.add('supported_groups', [0x17, 0x1d])),
    signature_algorithms: (hello) => changed(hello, (set) => set.add('signature_algorithms', [0x0403])),
    server_name: (hello) => changed(hello, (set) => set.add('server_name', 'other.example')),
    application_layer_protocol_negotiation: (hello) =>
      changed(hello, (set) => set.add('application_layer_protocol_negotiation', ['h2'])),
    supported_versions: (hello) => changed(hello, (set) => set.add('supported_versions', [0x0304, 0x0303])),
    early_data: (hello) => changed(hello, (set) => set.add('early_data', new Uint8Array(0))),
    post_handshake_auth: (hello) => changed(hello, (set) => set.add('post_handshake_auth', true)),
  }
  for (const [field, change] of Object.entries(changes)) {
    using pair = new TlsPair(workloads, {
      ...RETRYING,
      rewriteClient: changingHello((hello, number) => (number === 1 ? hello : change(hello, number))),
    }).run()
    assert.equal(pair.server.error?.code, 'TLS_ILLEGAL_PARAMETER', field)
    assert.match(pair.server.error.message, new RegExp(`changes ${field},`))
    assert.equal(pair.client.error?.received, 'illegal_parameter')
    assert.deepEqual(outcome(pair), ['failed TLS_PEER_ALERT', 'failed TLS_ILLEGAL_PARAMETER'])
  }
})

function changed(
  hello: ClientHello,
  change: (extensions: ClientHello['extensions']) => unknown,
): ClientHello {
  const extensions = Extensions.from(hello.extensions)
  change(extensions)
  return { ...hello, extensions }
}

test('TlsConnection as server refuses a second ClientHello without the one share it asked for', () => {
  const shares: Readonly<Record<string, (hello: ClientHello) => { group: number; share: Uint8Array }[]>> = {
    'no share': () => [],
    'the share of before': () => [{ group: NamedGroup.x25519, share: new Uint8Array(32).fill(9) }],
    'one share too many': (hello) => [
      ...hello.extensions.value('key_share')!,
      { group: NamedGroup.x25519, share: new Uint8Array(32).fill(9) },
    ],
  }
  for (const [name, change] of Object.entries(shares)) {
    using pair = new TlsPair(workloads, {
      ...RETRYING,
      rewriteClient: changingHello((hello, number) =>
        number === 1 ? hello : changed(hello, (set) => set.add('key_share', change(hello))),
      ),
    }).run()
    assert.equal(pair.server.error?.code, 'TLS_ILLEGAL_PARAMETER', name)
    assert.equal(pair.client.error?.received, 'illegal_parameter', name)
  }
})

test('TlsConnection as client refuses a HelloRetryRequest that is of no use or against the rules', () => {
  const asking = (group: number) => (retry: HelloRetryRequest) => ({
    ...retry,
    extensions: Extensions.from(retry.extensions).add('key_share', group),
  })
  const only = ({ extensions, ...retry }: HelloRetryRequest): HelloRetryRequest => ({
    ...retry,
    extensions: new Extensions('hello_retry_request').add(
      'supported_versions',
      extensions.value('supported_versions')!,
    ),
  })
  const refusals: readonly [string, (retry: HelloRetryRequest) => HelloRetryRequest, RegExp][] = [
    ['the group already shared', asking(NamedGroup.x25519), /x25519, which was already shared/],
    ['a group not offered', asking(NamedGroup.X25519MLKEM768), /X25519MLKEM768, which was not offered/],
    ['an unknown group', asking(0x1234), /0x1234, which was not offered/],
    ['no change at all', only, /change nothing/],
    ['a suite not offered', (retry) => ({ ...retry, cipherSuite: 0x1304 }), /0x1304/],
    ['another session id', (retry) => ({ ...retry, sessionId: new Uint8Array(32) }), /legacy_session_id/],
    ['compression', (retry) => ({ ...retry, compressionMethod: 1 }), /compression/],
  ]
  for (const [name, change, evidence] of refusals) {
    using pair = new TlsPair(workloads, { ...RETRYING, rewriteServer: changingRetry(change) }).run()
    const [code, alert] =
      name === 'compression'
        ? ['TLS_DECODE_ERROR', 'decode_error']
        : ['TLS_ILLEGAL_PARAMETER', 'illegal_parameter']
    assert.equal(pair.client.error?.code, code, name)
    assert.match(pair.client.error.message, evidence)
    assert.equal(pair.server.error?.received, alert, name)
  }
})

test('TlsConnection as client refuses a second HelloRetryRequest', () => {
  const pair = new TlsPair(workloads, RETRYING).start()
  pair.server.connection.receive(pair.client.take())
  const [retry] = splitRecords(pair.server.take())
  pair.client.connection.receive(retry!.slice())
  pair.client.take()
  pair.client.connection.receive(retry!.slice())
  assert.deepEqual(pair.client.calls, ['failed TLS_UNEXPECTED_MESSAGE'])
  assert.equal(toHex(pair.client.take()), '15030300020' + '20a')
})

test('TlsConnection as client refuses a ServerHello that goes back on its HelloRetryRequest', () => {
  for (const [field, change] of [
    ['cipher suite', { cipherSuite: 0x1303 }],
    ['group', {}],
  ] as const) {
    using pair = new TlsPair(workloads, {
      ...RETRYING,
      rewriteServer(message) {
        if (message[0] !== HandshakeType.server_hello) return message
        const hello = decodeServerHello(asMessage(message).body)
        if (hello.kind !== 'server_hello') return message
        const share = { group: NamedGroup.x25519, share: new Uint8Array(32).fill(9) }
        const extensions = Extensions.from(hello.extensions)
        if (field === 'group') extensions.add('key_share', share)
        return encodeServerHello({ ...hello, ...change, extensions })
      },
    }).run()
    assert.equal(pair.client.error?.code, 'TLS_ILLEGAL_PARAMETER')
    assert.match(pair.client.error.message, new RegExp(field))
  }
})

test('TlsConnection as server answers a hello without any share by a HelloRetryRequest', () => {
  using pair = new TlsPair(workloads, {
    ...RETRYING,
    rewriteClient: changingHello((hello, number) =>
      number === 1 ? changed(hello, (set) => set.add('key_share', [])) : hello,
    ),
  }).run()
  assert.deepEqual(outcome(pair), ['established', 'established'])
})

test('TlsConnection as server takes a change_cipher_spec between the two hellos, and no data', () => {
  const pair = new TlsPair(workloads, RETRYING).start()
  pair.server.connection.receive(pair.client.take())
  pair.server.connection.receive(plainRecord(ContentType.change_cipher_spec, Uint8Array.of(1)))
  assert.deepEqual(pair.server.calls, [])
  pair.server.connection.receive(plainRecord(ContentType.application_data, utf8('early')))
  assert.deepEqual(pair.server.calls, ['failed TLS_UNEXPECTED_MESSAGE'])
})
