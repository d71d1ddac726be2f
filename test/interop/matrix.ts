/** The matrix: every suite and group with a peer of another make, both identities proven, data both ways, a clean end. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import test, { type TestContext } from 'node:test'
import type { GroupName } from '../../src/crypto/provider.ts'
import type { CipherSuiteName } from '../../src/tls/registry.ts'
import { CATALOG, meshFiles, WEB, type MeshFiles } from '../cmd/tls-files.ts'
import { startHandfast, type Program } from '../support/peers.ts'
import { alertsOf, messagesOf, reportIn, type Report } from './reports.ts'

/** One cell of the matrix. */
export interface Cell {
  readonly suite: CipherSuiteName
  readonly group: GroupName
}

/** What the peer itself said about the connection, as far as it says anything. */
export interface PeerView {
  readonly suite?: string
  readonly group?: string
  /** The SPIFFE ID in the certificate that it saw. */
  readonly identity?: string
  /** Set where it does not say whom it saw. */
  readonly isDiscreet?: boolean
  readonly isResumed?: boolean
}

interface PeerTraits {
  readonly name: string
  /** Or why there is none here. */
  readonly program: Program | string
  readonly groups: readonly GroupName[]
  /** The peer allows this one suite and group, and we whatever we like; otherwise it is the other way round. */
  readonly choosesCell: boolean
  /** How many connections at a time. @default 2 */
  readonly concurrency?: number
}

/** A client of another make. */
export interface ClientPeer extends PeerTraits {
  /** Whether it speaks HTTP, rather than expecting an echo. */
  readonly http?: boolean
  /** Prepares what all its connections share. */
  prepare(t: TestContext, files: MeshFiles, program: Program): Promise<ConnectTo> | ConnectTo
}

/** Makes one connection, sends something, sees it answered and ends cleanly. */
export type ConnectTo = (t: TestContext, cell: Cell, port: number) => Promise<PeerView>

/** A server of another make. */
export interface ServerPeer extends PeerTraits {
  prepare(t: TestContext, files: MeshFiles, program: Program): Promise<ServeOne> | ServeOne
}

/** Serves the one connection of a cell. */
export type ServeOne = (t: TestContext, cell: Cell) => Promise<OneService>

export interface OneService {
  readonly port: number
  /** What our client is to say; the peer answers only then. */
  readonly request: string
  readonly answer: RegExp
  /** Resolves once a peer that is the first to close has done so; our client goes on until then. */
  readonly goodbye?: () => Promise<unknown>
  /** Resolves once the connection has ended; `received` is all that our client got. */
  view(received: string): Promise<PeerView>
}

const SUITES: readonly CipherSuiteName[] = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
]

/** Every suite with both groups that all peers have, and the other groups with one suite each. */
const CELLS: readonly Cell[] = [
  ...SUITES.flatMap((suite) => (['x25519', 'secp256r1'] as const).map((group) => ({ suite, group }))),
  { suite: 'TLS_AES_256_GCM_SHA384', group: 'secp384r1' },
  { suite: 'TLS_AES_128_GCM_SHA256', group: 'X25519MLKEM768' },
]

/** `handfast tls serve` with a client of another make. */
export function testServe(peer: ClientPeer): void {
  const { name, http = false, choosesCell } = peer
  run(`tls serve talks to ${name}`, peer, async (t, files, program) => {
    const connect = await peer.prepare(t, files, program)
    return async (t, cell) => {
      const args = [...files.catalog, '--ca', files.ca, '--require-client-cert', '--once', '--json']
      const server = startHandfast(t, [
        ['tls', 'serve', '--listen', '127.0.0.1:0', ...args],
        choosesCell ? [] : ['--suites', cell.suite, '--groups', cell.group],
        http ? ['--http'] : [],
      ])
      const [, port] = await server.saw(/Listening on 127\.0\.0\.1:(\d+)\n/, 'stderr')
      const view = await connect(t, cell, Number(port))
      const { code, stdout, stderr } = await server.ended()
      assert.equal(code, 0, stderr)
      assert.match(stderr, http ? /closed; HTTP requests answered: [1-9]/ : /closed; bytes echoed: [1-9]/)
      const report = reportIn(stdout)
      assert.equal(report.settled.peer?.name, WEB)
      checkSettled(report, cell)
      checkView(view, cell, CATALOG)
      return report
    }
  })
}

/** `handfast tls connect` with a server of another make. */
export function testConnect(peer: ServerPeer): void {
  run(`tls connect talks to ${peer.name}`, peer, async (t, files, program) => {
    const serve = await peer.prepare(t, files, program)
    return async (t, cell) => {
      const service = await serve(t, cell)
      const client = startHandfast(t, [
        ['tls', 'connect', `127.0.0.1:${service.port}`, '--servername', 'localhost', '--json'],
        ['--ca', files.ca, '--spiffe-id', CATALOG, ...files.web],
        peer.choosesCell ? [] : ['--suites', cell.suite, '--groups', cell.group],
      ])
      client.write(service.request)
      await client.saw(service.answer, 'stdout')
      await service.goodbye?.()
      client.end()
      const { code, stdout, stderr } = await client.ended()
      assert.equal(code, 0, stderr)
      const report = reportIn(stderr)
      assert.equal(report.settled.peer?.name, CATALOG)
      checkSettled(report, cell)
      checkView(await service.view(stdout), cell, WEB)
      return report
    }
  })
}

/** The SPIFFE ID among the names that OpenSSL, Node or Java list of a certificate. */
export function spiffeIdIn(text: string): string | undefined {
  return /spiffe:\/\/[^\s,'"\])]+/.exec(text)?.[0]
}

/** The SPIFFE ID in a certificate in PEM, the first in the text. */
export function spiffeIdOfPem(text: string): string | undefined {
  const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text)?.[0]
  return pem === undefined ? undefined : spiffeIdIn(new X509Certificate(pem).subjectAltName ?? '')
}

type TryCell = (t: TestContext, cell: Cell) => Promise<Report>

type Prepare = (t: TestContext, files: MeshFiles, program: Program) => Promise<TryCell>

function run(title: string, peer: PeerTraits, prepare: Prepare): void {
  const { program, groups, concurrency = 2 } = peer
  test(title, { concurrency, skip: typeof program === 'string' ? program : false }, async (t) => {
    assert.ok(typeof program !== 'string')
    const attempt = await prepare(t, await meshFiles(t), program)
    const rows: string[] = []
    await Promise.all(
      CELLS.filter(({ group }) => groups.includes(group)).map((cell) =>
        t.test(`${cell.suite} with ${cell.group}`, async (t) => {
          const report = await attempt(t, cell)
          const retried = messagesOf(report).includes('server HelloRetryRequest')
          rows.push(`${cell.suite}, ${cell.group}${retried ? ' after a HelloRetryRequest' : ''}`)
        }),
      ),
    )
    t.diagnostic(`${title}, ${program.version}: ${rows.sort().join(' · ')}`)
  })
}

function checkSettled(report: Report, { suite, group }: Cell): void {
  const { version, cipherSuite, group: agreed, serverName } = report.settled
  assert.deepEqual(
    { outcome: report.outcome, version, cipherSuite, group: agreed, serverName },
    { outcome: 'established', version: 'TLS 1.3', cipherSuite: suite, group, serverName: 'localhost' },
  )
  assert.equal(report.failure, undefined)
  assert.deepEqual(alertsOf(report).sort(), ['client close_notify', 'server close_notify'])
}

/** What the peer says must be what we say. */
function checkView(
  { suite, group, identity, isDiscreet = false }: PeerView,
  cell: Cell,
  expected: string,
): void {
  assert.deepEqual(
    {
      suite: suite ?? cell.suite,
      group: group ?? cell.group,
      identity: isDiscreet ? (identity ?? expected) : identity,
    },
    { ...cell, identity: expected },
  )
}
