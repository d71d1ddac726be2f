import assert from 'node:assert/strict'
import test from 'node:test'
import { toHex, utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { ContentType, HandshakeType, nameOf, type HandshakeTypeName } from '../../src/tls/registry.ts'
import { messageOf, putTogether, takeApart, type Segment } from '../fuzz/handshake/flight.ts'
import { FUZZ_GROUPS, fuzzCrypto } from '../fuzz/handshake/fuzz-crypto.ts'
import { fuzzWorkloads, scenarios, type Scenario } from '../fuzz/handshake/scenarios.ts'
import { TlsPair, type Role, type TlsEnd, type Wire } from '../support/tls-pair.ts'
import { verifierFor } from '../support/tls-workloads.ts'

const workloads = await fuzzWorkloads()
const verifier = verifierFor(workloads)

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

const FULL_SERVER_FLIGHT: readonly State[] = [
  only('encrypted_extensions'),
  eitherBefore('certificate_request'),
  only('certificate'),
  only('certificate_verify'),
  FINISHED,
  ['data', OPEN_CLIENT],
]
const FULL_CLIENT_FLIGHT: readonly State[] = [
  only('certificate'),
  only('certificate_verify'),
  FINISHED,
  ['data', OPEN_SERVER],
]
const RESUMED_SERVER_FLIGHT: readonly State[] = [
  only('server_hello'),
  only('encrypted_extensions'),
  FINISHED,
  ['new_session_ticket', OPEN_CLIENT],
  ['new_session_ticket', OPEN_CLIENT],
  ['data', OPEN_CLIENT],
]

/** The states of each side in each kind of handshake, in order. */
const STATES: Readonly<Record<string, Readonly<Record<Role, readonly State[]>>>> = {
  mutual: {
    client: [only('server_hello'), ...FULL_SERVER_FLIGHT],
    server: [only('client_hello'), ...FULL_CLIENT_FLIGHT],
  },
  'server only': {
    client: [
      only('server_hello'),
      only('encrypted_extensions'),
      eitherBefore('certificate'),
      only('certificate_verify'),
      FINISHED,
      ['data', OPEN_CLIENT],
    ],
    server: [only('client_hello'), FINISHED, ['data', OPEN_SERVER]],
  },
  retry: {
    client: [only('server_hello'), only('server_hello'), ...FULL_SERVER_FLIGHT],
    server: [only('client_hello'), only('client_hello'), ...FULL_CLIENT_FLIGHT],
  },
  resumption: {
    client: RESUMED_SERVER_FLIGHT,
    server: [only('client_hello'), FINISHED, ['data', OPEN_SERVER]],
  },
  'early data': {
    client: RESUMED_SERVER_FLIGHT,
    server: [only('client_hello'), only('end_of_early_data'), FINISHED, ['data', OPEN_SERVER]],
  },
  'early data declined': {
    client: RESUMED_SERVER_FLIGHT,
    server: [only('client_hello'), FINISHED, ['data', OPEN_SERVER]],
  },
}

const PING = utf8('ping')

for (const scenario of scenarios(workloads).filter(({ name }) => name in STATES)) {
  for (const role of ['client', 'server'] as const) {
    const states = STATES[scenario.name]![role]

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
          const fate = RECORD_FATES[name as keyof typeof RECORDS]({ role, index, awaits, isOpen })
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
  readonly role: Role
  readonly index: number
  readonly awaits: HandshakeTypeName | 'data'
  readonly isOpen: boolean
}

const RECORD_FATES: Readonly<Record<keyof typeof RECORDS, (place: Place) => string>> = {
  // RFC 8446 §5: from the first ClientHello to the peer's Finished.
  change_cipher_spec: ({ role, index, isOpen }) =>
    isOpen || (role === 'server' && index === 0) ? 'TLS_UNEXPECTED_MESSAGE' : 'tolerated',
  user_canceled: () => 'tolerated',
  close_notify: ({ isOpen }) => (isOpen ? 'the end' : 'TLS_HANDSHAKE_TRUNCATED'),
  'a fatal alert': () => 'TLS_PEER_ALERT',
  'a fatal alert as a warning': () => 'TLS_DECODE_ERROR',
  'an alert of no level': () => 'TLS_ILLEGAL_PARAMETER',
  // Early data is data: before EndOfEarlyData it may come.
  'application data': ({ awaits, isOpen }) =>
    isOpen || awaits === 'end_of_early_data' ? 'tolerated' : 'TLS_UNEXPECTED_MESSAGE',
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

/** Nothing that follows is missed: the side has failed with the code, once, and said so by the alert. */
function checkRefused(
  scenario: Scenario,
  role: Role,
  intrusion: Intrusion,
  { code, what }: { readonly code: string; readonly what: string },
): void {
  using pair = converse(scenario, intruding(role, intrusion, 'and nothing more'))
  const [side, peer] = role === 'client' ? [pair.client, pair.server] : [pair.server, pair.client]
  const isEstablished = side.calls[0] === 'established'
  assert.deepEqual(side.calls, [...(isEstablished ? ['established'] : []), `failed ${code}`], what)
  assert.equal(side.error?.alert, ALERTS[code], what)
  // A server that declines early data passes over all that the client says under its keys, alerts too.
  const isHeard = !(scenario.name === 'early data declined' && role === 'client' && intrusion.index < 2)
  if (ALERTS[code] !== undefined && isHeard) assert.equal(peer.error?.received, ALERTS[code], what)
}

/** All goes on as if nothing had been sent. */
function checkTolerated(scenario: Scenario, role: Role, intrusion: Intrusion, what: string): void {
  using pair = converse(scenario, intruding(role, intrusion, 'and all the rest'))
  for (const end of pair.ends) {
    assert.equal(end.error, undefined, `${what}: ${end.error?.message}`)
    assert.equal(end.calls[0], 'established', what)
    assert.match(toHex(end.received), new RegExp(`${toHex(PING)}$`), what)
  }
}

/** The side is as open as before; what changed are its keys. */
function checkTaken(scenario: Scenario, role: Role, intrusion: Intrusion, what: string): void {
  using pair = converse(scenario, intruding(role, intrusion, 'and nothing more'))
  const side = role === 'client' ? pair.client : pair.server
  assert.deepEqual([side.calls, side.error], [['established'], undefined], what)
}

function checkClosed(scenario: Scenario, role: Role, intrusion: Intrusion, what: string): void {
  using pair = converse(scenario, intruding(role, intrusion, 'and nothing more'))
  const side = role === 'client' ? pair.client : pair.server
  assert.deepEqual([side.calls, side.error], [['established', 'peerClosed'], undefined], what)
}

/** A handshake, then a word from each side to the other. */
function converse({ options, early }: Scenario, wire: Wire): TlsPair {
  const { client, server } = options(true)
  const pair = new TlsPair(workloads, {
    crypto: fuzzCrypto(nativeCrypto(), { hashes: true }),
    client: { groups: FUZZ_GROUPS, verifier, ...client },
    server: { clientVerifier: verifier, ...server },
  }).start()
  if (early !== undefined) pair.client.connection.sendEarly(early)
  pair.pump(wire)
  for (const end of pair.ends) if (isOpen(end)) end.connection.send(PING)
  return pair.pump(wire)
}

function isOpen({ session, error }: TlsEnd): boolean {
  return session !== undefined && error === undefined
}

/** What a side is sent when nobody interferes, as the table names it. */
function awaited(scenario: Scenario, role: Role): (HandshakeTypeName | 'data')[] {
  const seen: (HandshakeTypeName | 'data')[] = []
  using _pair = converse(scenario, (from, bytes) => {
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
    return [putTogether(sent)]
  }
}
