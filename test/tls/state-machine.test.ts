import assert from 'node:assert/strict'
import test from 'node:test'
import { toHex, utf8 } from '../../src/bytes/bytes.ts'
import { ContentType, HandshakeType, nameOf, type HandshakeTypeName } from '../../src/tls/registry.ts'
import { messageOf, putTogether, takeApart, type Segment } from '../fuzz/handshake/flight.ts'
import { ScenarioRun } from '../fuzz/handshake/scenario-run.ts'
import { scenarios, type Scenario } from '../fuzz/handshake/scenarios.ts'
import { fuzzWorkloads } from '../fuzz/handshake/workloads.ts'
import type { Role, TlsEnd, Wire } from '../support/tls-pair.ts'

const workloads = await fuzzWorkloads()

/** What becomes of a message in a state: the code of the failure, or `taken`. */
type Fate = 'taken' | 'TLS_DECODE_ERROR' | 'TLS_BAD_FINISHED'

/** What a side awaits, and which messages it looks into in this state. All others are unexpected. */
type State = readonly [
  awaits: HandshakeTypeName | 'data',
  looksInto: Readonly<Partial<Record<HandshakeTypeName, Fate>>>,
]

// Every message is sent with one byte of zero for a body: KeyUpdate is the only one that may look so.
const only = (type: HandshakeTypeName): State => [type, { [type]: 'TLS_DECODE_ERROR' }]
const FINISHED: State = ['finished', { finished: 'TLS_BAD_FINISHED' }]
/** A server need not ask for a certificate. */
const eitherBefore = (type: 'certificate_request' | 'certificate'): State => [
  type,
  { certificate_request: 'TLS_DECODE_ERROR', certificate: 'TLS_DECODE_ERROR' },
]
/** RFC 8446 §4.6: what may come on an open connection. */
const OPEN_CLIENT = { key_update: 'taken', new_session_ticket: 'TLS_DECODE_ERROR' } as const
const OPEN_SERVER = { key_update: 'taken' } as const

/** What certificates may look like when a shorter form was offered (RFC 8879). */
const SHORT: State = [
  'compressed_certificate',
  { certificate: 'TLS_DECODE_ERROR', compressed_certificate: 'TLS_DECODE_ERROR' },
]

const HELLO_CLIENT = only('server_hello')
const HELLO_SERVER = only('client_hello')
const PROOF = [only('certificate'), only('certificate_verify'), FINISHED]
const SHORT_PROOF = [SHORT, only('certificate_verify'), FINISHED]
const OPEN = { client: ['data', OPEN_CLIENT], server: ['data', OPEN_SERVER] } as const satisfies Record<
  Role,
  State
>

type States = Readonly<Record<Role, readonly State[]>>

const FULL: States = {
  client: [
    HELLO_CLIENT,
    only('encrypted_extensions'),
    eitherBefore('certificate_request'),
    ...PROOF,
    OPEN.client,
  ],
  server: [HELLO_SERVER, ...PROOF, OPEN.server],
}
const RETRIED: States = {
  client: [HELLO_CLIENT, ...FULL.client],
  server: [HELLO_SERVER, ...FULL.server],
}
const SERVER_ONLY: States = {
  client: [
    HELLO_CLIENT,
    only('encrypted_extensions'),
    eitherBefore('certificate'),
    only('certificate_verify'),
    FINISHED,
    OPEN.client,
  ],
  server: [HELLO_SERVER, FINISHED, OPEN.server],
}
const ANONYMOUS: States = {
  client: FULL.client,
  server: [HELLO_SERVER, only('certificate'), FINISHED, OPEN.server],
}
const COMPRESSED: States = {
  client: [
    HELLO_CLIENT,
    only('encrypted_extensions'),
    [
      'certificate_request',
      {
        certificate_request: 'TLS_DECODE_ERROR',
        certificate: 'TLS_DECODE_ERROR',
        compressed_certificate: 'TLS_DECODE_ERROR',
      },
    ],
    ...SHORT_PROOF,
    OPEN.client,
  ],
  server: [HELLO_SERVER, ...SHORT_PROOF, OPEN.server],
}
const BY_KEY: States = {
  client: [HELLO_CLIENT, only('encrypted_extensions'), FINISHED, OPEN.client],
  server: [HELLO_SERVER, FINISHED, OPEN.server],
}
const RESUMED: States = {
  client: [
    HELLO_CLIENT,
    only('encrypted_extensions'),
    FINISHED,
    ['new_session_ticket', OPEN_CLIENT],
    OPEN.client,
  ],
  server: BY_KEY.server,
}
const RESUMED_AFTER_RETRY: States = {
  client: [HELLO_CLIENT, ...RESUMED.client],
  server: [HELLO_SERVER, ...RESUMED.server],
}
const EARLY_DATA: States = {
  client: RESUMED.client,
  server: [HELLO_SERVER, only('end_of_early_data'), FINISHED, OPEN.server],
}
/** The client fails by its own will at the end. */
const REJECTED: States = {
  client: FULL.client.slice(0, -1),
  server: ANONYMOUS.server.slice(0, -1),
}

/** The states of each side in each kind of handshake, in order. */
const STATES: Readonly<Record<string, States>> = {
  mutual: FULL,
  'server only': SERVER_ONLY,
  'anonymous client': ANONYMOUS,
  retry: RETRIED,
  'retry with cookie': RETRIED,
  'everything negotiated': FULL,
  resumption: RESUMED,
  'resumption, sealed ticket': RESUMED,
  'resumption after a retry': RESUMED_AFTER_RETRY,
  'early data': EARLY_DATA,
  'early data declined': RESUMED,
  'early data and a retry': RESUMED_AFTER_RETRY,
  'compressed certificates': COMPRESSED,
  'raw public keys': FULL,
  'a raw public key and a certificate': FULL,
  'external key': BY_KEY,
  'external key after a retry': {
    client: [HELLO_CLIENT, ...BY_KEY.client],
    server: [HELLO_SERVER, ...BY_KEY.server],
  },
  'certificate for want of a common key': FULL,
  'resumption by an external key': RESUMED,
  ECH: FULL,
  'ECH and a retry': RETRIED,
  'ECH rejected': REJECTED,
  'ECH greased': FULL,
  'ECH with early data': EARLY_DATA,
  'late answers': FULL,
  'late answers, resumption': EARLY_DATA,
}

const PING = utf8('ping')

for (const scenario of scenarios(workloads)) {
  for (const role of ['client', 'server'] as const) {
    const states = (STATES[scenario.name] ?? assert.fail(`${scenario.name} has no states`))[role]

    test(`TlsConnection as ${role} takes in each state what the table says and refuses all else (${scenario.name})`, () => {
      assert.deepEqual(
        awaited(scenario, role),
        states.map(([type]) => type),
        'the states of the table',
      )
      for (const [index, [awaits, looksInto]] of states.entries()) {
        for (const type of [...Object.values(HandshakeType), 0, 3, 99]) {
          const name = nameOf(HandshakeType, type)
          const stimulus = { type: ContentType.handshake, content: messageOf(type, Uint8Array.of(0)) }
          const fate = (looksInto as Readonly<Record<string, Fate>>)[name] ?? 'TLS_UNEXPECTED_MESSAGE'
          const what = `${name} to a ${role} that awaits ${awaits} (state ${index})`
          if (fate === 'taken') checkTaken(scenario, role, { index, stimulus }, what)
          else checkRefused(scenario, role, { index, stimulus }, { code: fate, what })
        }
      }
    })

    test(`TlsConnection as ${role} takes alerts, data and change_cipher_spec where they may stand (${scenario.name})`, () => {
      for (const [index, [awaits]] of states.entries()) {
        const isOpen = index > states.findIndex(([type]) => type === 'finished')
        for (const [name, stimulus] of Object.entries(RECORDS)) {
          const place = { scenario: scenario.name, role, index, awaits, isOpen }
          const fate = RECORD_FATES[name as keyof typeof RECORDS](place)
          const what = `${name} to a ${role} that awaits ${awaits} (state ${index})`
          if (fate === 'tolerated') checkTolerated(scenario, role, { index, stimulus }, what)
          else if (fate === 'the end') checkClosed(scenario, role, { index, stimulus }, what)
          else checkRefused(scenario, role, { index, stimulus }, { code: fate, what })
        }
      }
    })
  }
}

interface Stimulus {
  readonly type: number
  readonly content: Uint8Array
  /** Whether it is sent in plaintext, whatever the keys. @default false */
  readonly plain?: boolean
}

const RECORDS = {
  change_cipher_spec: { type: ContentType.change_cipher_spec, content: Uint8Array.of(1), plain: true },
  user_canceled: { type: ContentType.alert, content: Uint8Array.of(1, 90) },
  close_notify: { type: ContentType.alert, content: Uint8Array.of(1, 0) },
  'a fatal alert': { type: ContentType.alert, content: Uint8Array.of(2, 40) },
  'a fatal alert as a warning': { type: ContentType.alert, content: Uint8Array.of(1, 40) },
  'an alert of no level': { type: ContentType.alert, content: Uint8Array.of(3, 40) },
  'application data': { type: ContentType.application_data, content: utf8('data') },
} satisfies Record<string, Stimulus>

interface Place {
  readonly scenario: string
  readonly role: Role
  readonly index: number
  readonly awaits: HandshakeTypeName | 'data'
  readonly isOpen: boolean
}

const RECORD_FATES: Readonly<Record<keyof typeof RECORDS, (place: Place) => string>> = {
  // RFC 8446 §5: from the first ClientHello to the peer's Finished; who hands out cookies may not have seen it.
  change_cipher_spec: ({ scenario, role, index, isOpen }) =>
    isOpen || (role === 'server' && index === 0 && scenario !== 'retry with cookie')
      ? 'TLS_UNEXPECTED_MESSAGE'
      : 'tolerated',
  user_canceled: () => 'tolerated',
  close_notify: ({ isOpen }) => (isOpen ? 'the end' : 'TLS_HANDSHAKE_TRUNCATED'),
  'a fatal alert': () => 'TLS_PEER_ALERT',
  'a fatal alert as a warning': () => 'TLS_DECODE_ERROR',
  'an alert of no level': () => 'TLS_ILLEGAL_PARAMETER',
  // Early data is data: before EndOfEarlyData it may come, and after a retry it is passed over.
  'application data': ({ scenario, role, index, awaits, isOpen }) =>
    isOpen ||
    awaits === 'end_of_early_data' ||
    (scenario === 'early data and a retry' && role === 'server' && index === 1)
      ? 'tolerated'
      : 'TLS_UNEXPECTED_MESSAGE',
}

/** The alerts of RFC 8446 §6.2 for what is refused here. */
const ALERTS: Readonly<Record<string, string | undefined>> = {
  TLS_UNEXPECTED_MESSAGE: 'unexpected_message',
  TLS_DECODE_ERROR: 'decode_error',
  TLS_BAD_FINISHED: 'decrypt_error',
  TLS_ILLEGAL_PARAMETER: 'illegal_parameter',
}

interface Intrusion {
  /** Before which of the messages that the side awaits. */
  readonly index: number
  readonly stimulus: Stimulus
}

/**
 * Through how many states of the client the server hears nothing of it: when it declines early data it passes over all
 * that comes under its keys, alerts too.
 */
const DEAF_STATES: Readonly<Record<string, number>> = {
  'early data declined': 2,
  'early data and a retry': 1,
}

/** Nothing that follows is missed: the side has failed with the code, once, and said so by the alert. */
function checkRefused(
  scenario: Scenario,
  role: Role,
  intrusion: Intrusion,
  { code, what }: { readonly code: string; readonly what: string },
): void {
  using run = converse(scenario, intruding(role, intrusion, 'and nothing more'))
  const [side, peer] = role === 'client' ? [run.client, run.server] : [run.server, run.client]
  const isEstablished = side.calls[0] === 'established'
  assert.deepEqual(side.calls, [...(isEstablished ? ['established'] : []), `failed ${code}`], what)
  assert.equal(side.error?.alert, ALERTS[code], what)
  const isHeard = role === 'server' || intrusion.index >= (DEAF_STATES[scenario.name] ?? 0)
  // A client whose hello was rejected has failed by itself with its last flight.
  const isGone = scenario.clientFails !== undefined && peer.error?.code === scenario.clientFails
  if (ALERTS[code] !== undefined && isHeard && !isGone) assert.equal(peer.error?.received, ALERTS[code], what)
}

/** All goes on as if nothing had been sent. */
function checkTolerated(scenario: Scenario, role: Role, intrusion: Intrusion, what: string): void {
  using run = converse(scenario, intruding(role, intrusion, 'and all the rest'))
  if (scenario.clientFails !== undefined) {
    assert.equal(run.client.error?.code, scenario.clientFails, what)
    assert.deepEqual(run.server.calls, ['established', 'failed TLS_PEER_ALERT'], what)
    return
  }
  for (const end of run.pair.ends) {
    assert.equal(end.error, undefined, `${what}: ${end.error?.message}`)
    assert.equal(end.calls[0], 'established', what)
    assert.match(toHex(end.received), new RegExp(`${toHex(PING)}$`), what)
  }
}

/** The side is as open as before; what changed are its keys. */
function checkTaken(scenario: Scenario, role: Role, intrusion: Intrusion, what: string): void {
  using run = converse(scenario, intruding(role, intrusion, 'and nothing more'))
  const side = role === 'client' ? run.client : run.server
  assert.deepEqual([side.calls, side.error], [['established'], undefined], what)
}

function checkClosed(scenario: Scenario, role: Role, intrusion: Intrusion, what: string): void {
  using run = converse(scenario, intruding(role, intrusion, 'and nothing more'))
  const side = role === 'client' ? run.client : run.server
  assert.deepEqual([side.calls, side.error], [['established', 'peerClosed'], undefined], what)
}

/** A handshake, then a word from each side to the other. */
function converse(scenario: Scenario, wire: Wire): ScenarioRun {
  const run = new ScenarioRun(workloads, scenario).handshake(wire)
  for (const end of run.pair.ends) if (isOpen(end)) end.connection.send(PING)
  return run.pump(wire)
}

function isOpen({ session, error }: TlsEnd): boolean {
  return session !== undefined && error === undefined
}

/** What a side is sent when nobody interferes, as the table names it. */
function awaited(scenario: Scenario, role: Role): (HandshakeTypeName | 'data')[] {
  const seen: (HandshakeTypeName | 'data')[] = []
  using _run = converse(scenario, (from, bytes) => {
    if (from !== role) {
      for (const { type, units } of takeApart(bytes)!)
        for (const unit of units)
          if (isAwaited(type, unit))
            seen.push(
              type === ContentType.handshake
                ? (nameOf(HandshakeType, unit[0]!) as HandshakeTypeName)
                : 'data',
            )
    }
    return [bytes]
  })
  return seen
}

/** Handshake messages, and the word that is sent afterwards; early data and change_cipher_spec are not waited for. */
function isAwaited(type: number, unit: Uint8Array): boolean {
  return (
    type === ContentType.handshake || (type === ContentType.application_data && toHex(unit) === toHex(PING))
  )
}

/** No scenario limits its records to less. */
const MAX_RECORD_BYTES = 500

/** Sends the stimulus before the message at `index`, under the keys that this one is under. */
function intruding(
  role: Role,
  { index, stimulus }: Intrusion,
  rest: 'and nothing more' | 'and all the rest',
): Wire {
  let seen = 0
  let isDone = false
  return (from, bytes) => {
    if (from === role) return [bytes]
    if (isDone) return rest === 'and nothing more' ? [] : [bytes]
    const sent: Segment[] = []
    for (const { type, mark, units } of takeApart(bytes)!) {
      for (const unit of units) {
        if (isDone && rest === 'and nothing more') continue
        if (isAwaited(type, unit) && seen++ === index) {
          sent.push({
            type: stimulus.type,
            mark: stimulus.plain === true ? undefined : mark,
            units: [stimulus.content],
          })
          isDone = true
          if (rest === 'and nothing more') continue
        }
        sent.push({ type, mark, units: [unit] })
      }
    }
    return [putTogether(sent, MAX_RECORD_BYTES)]
  }
}
