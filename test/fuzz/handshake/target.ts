import { utf8 } from '../../../src/bytes/bytes.ts'
import { seededRandom } from '../../support/mutations.ts'
import type { Role, TlsEnd, Wire } from '../../support/tls-pair.ts'
import { CLIENT_ID, SERVER_ID, type Workloads } from '../../support/tls-workloads.ts'
import { shapeOf, Violation, type FuzzTarget } from '../target.ts'
import { edit, EDIT_COUNT } from './edits.ts'
import { emptyScript, mutateScript, readScript, type Ending, type Step } from './script.ts'
import { ScenarioRun } from './scenario-run.ts'
import { scenarios, type Scenario } from './scenarios.ts'

/** Failures that no peer may be able to cause: they are ours. */
const OUR_OWN = new Set(['TLS_INTERNAL', 'TLS_MISUSE', 'TLS_BAD_OPTIONS'])

/** Whole connections in which what `disturbed` sends is changed on its way to the other side. */
export function handshakeTarget(workloads: Workloads, disturbed: Role): FuzzTarget {
  const kinds = scenarios(workloads)
  const seeds = kinds.flatMap((_, index) => [
    emptyScript(index, true),
    emptyScript(index, false),
    emptyScript(index, true, 'broken off'),
    emptyScript(index, true, 'left'),
  ])
  return {
    name: disturbed === 'client' ? 'handshake-server' : 'handshake-client',
    seeds,
    mutate: mutateScript,
    run(input) {
      const { scenario: number, hashes, ending, steps } = readScript(input)
      const scenario = kinds[number % kinds.length]!
      using run = new ScenarioRun(workloads, scenario, { hashes })
      const wire = disturbing(disturbed, steps)
      if (ending === 'orderly') connect(run, wire)
      else abandon(run, wire, ending)
      const { client, server } = run
      for (const role of ['client', 'server'] as const) check(run[role], role, { scenario, ending })
      if (steps.length === 0 && ending === 'orderly') checkUndisturbed(run, scenario)
      if (hashes) checkAgreement(run)
      // A connection that has failed has let go of its keys; one that has ended well also.
      if (run.crypto.live !== 0) throw new Violation(`${run.crypto.live} AEAD keys are alive after the end`)
      return `${fate(client)} / ${fate(server)}: ${story(client)} / ${story(server)}`
    },
  }
}

/** From hello to goodbye: data, new keys and tickets on the way. */
function connect(run: ScenarioRun, wire: Wire): void {
  const { client, server } = run
  run.handshake(wire)
  for (const end of [client, server]) {
    if (!isOpen(end)) continue
    end.connection.send(utf8('ping'))
    end.connection.updateKeys({ requestPeer: true })
    end.connection.send(utf8('pong'))
    run.pump(wire)
  }
  for (const end of [server, client]) {
    if (isOpen(end)) end.connection.send(utf8('last'))
    end.connection.close()
    run.pump(wire)
  }
  for (const { connection } of [client, server]) connection.receiveEnd()
}

/** From hello to the end of both transports, or of whoever held the connections; only then are answers given. */
function abandon(run: ScenarioRun, wire: Wire, ending: Exclude<Ending, 'orderly'>): void {
  run.begin(wire)
  for (const { connection } of run.pair.ends) {
    if (ending === 'left') connection[Symbol.dispose]()
    else connection.receiveEnd()
  }
  const told = run.pair.ends.map(({ calls }) => calls.length)
  run.pump(wire)
  if (ending === 'left' && run.pair.ends.some(({ calls }, index) => calls.length !== told[index]))
    throw new Violation('A connection told something after its owner had left')
  // After a goodbye that came before, the other half is still open.
  for (const { connection } of run.pair.ends) connection.close()
}

function isOpen({ session, error }: TlsEnd): boolean {
  return session !== undefined && error === undefined
}

function disturbing(disturbed: Role, steps: readonly Step[]): Wire {
  let deliveries = 0
  return (from, bytes) => {
    if (from !== disturbed) return [bytes]
    const delivery = deliveries++
    let changed = bytes
    for (const step of steps) {
      if (step.delivery !== delivery || changed.length < 2) continue
      changed = edit(step.edit % EDIT_COUNT, changed, seededRandom(step.seed))
    }
    return [changed]
  }
}

/** What no side may ever do, whatever it is sent. */
function check(
  { calls, error, session }: TlsEnd,
  role: Role,
  { scenario: { anonymous, hidesName }, ending }: { readonly scenario: Scenario; readonly ending: Ending },
): void {
  const told = calls.join()
  if (error !== undefined && OUR_OWN.has(error.code))
    throw new Violation(`The ${role} failed with ${error.code}: ${error.message}`)
  if (!/^(established(,data \d+)*(,peerClosed)?)?(,?failed \w+)?$/.test(told))
    throw new Violation(`The ${role} told its handlers ${told}`)
  if (ending !== 'left' && error === undefined && !told.endsWith('peerClosed') && told !== '')
    throw new Violation(`The ${role} has neither failed nor seen the end: ${told}`)
  if (session === undefined) return
  if (role === 'client' && hidesName && !session.echAccepted)
    throw new Violation('The client is established although its encrypted hello was not read')
  const name = session.peer?.name
  if (name === undefined && anonymous.includes(role)) return
  const expected = role === 'client' ? SERVER_ID : CLIENT_ID
  if (name !== expected) throw new Violation(`The ${role} is established with ${name}, expected ${expected}`)
}

/**
 * Lines of the key log that may differ: a client may have sent early data in vain, and the random of the hello around
 * an encrypted one is guarded by the encryption alone, which fuzzing leaves out.
 */
const NOT_COMPARED = /^(?:CLIENT_EARLY|EARLY|ECH)_/

/** With hashes, whoever has seen a Finished has seen the same handshake as the other side. */
function checkAgreement({ client, server }: ScenarioRun): void {
  if (client.session === undefined || server.session === undefined) return
  const [ours, theirs] = [client, server].map(({ keyLog, session }) => {
    const { cipherSuite, group, alpn, resumed, echAccepted, earlyData, externalPsk } = session!
    const settled = [cipherSuite, group, alpn, resumed, echAccepted, earlyData === 'accepted']
    const secrets = keyLog.filter((line) => !NOT_COMPARED.test(line))
    return [...settled, externalPsk?.toHex(), ...secrets].join()
  })
  if (ours !== theirs) throw new Violation('Both sides are established and do not agree')
}

function checkUndisturbed({ client, server }: ScenarioRun, { name, clientFails }: Scenario): void {
  const sides = clientFails === undefined ? [client, server] : []
  for (const { calls, error } of sides) {
    if (error !== undefined || calls[0] !== 'established' || calls.at(-1) !== 'peerClosed')
      throw new Violation(`The undisturbed handshake "${name}" came to ${calls.join()}: ${error?.message}`)
  }
  if (client.error?.code !== clientFails)
    throw new Violation(`The undisturbed client of "${name}" failed: ${client.error?.message}`)
}

function fate({ error, session }: TlsEnd): string {
  return error?.code ?? (session === undefined ? 'nothing' : 'established')
}

/** How a side came to its fate: what it received, and why it failed. */
function story({ trace, error, calls }: TlsEnd): string {
  const received = trace.flatMap((event) =>
    event.kind === 'message' && event.direction === 'received'
      ? [`${event.type} ${event.details.message}`]
      : [],
  )
  return `${received.join()} ${shapeOf(error?.message ?? '')} ${calls.length}`
}
