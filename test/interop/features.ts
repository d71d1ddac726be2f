/**
 * What TLS 1.3 has beyond a plain handshake, with every peer, both ways where it can: one cell for each feature, each a
 * connection that both sides describe in the same words.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { CATALOG, meshFiles, WEB, type MeshFiles } from '../cmd/tls-files.ts'
import { startHandfast, type Args, type PeerProcess, type Program } from '../support/peers.ts'
import type { PeerView } from './matrix.ts'
import { alertsOf, messagesOf, reportIn, type Report } from './reports.ts'

/** In the order in which they are tried: a session of one is resumed by the next. */
export const FEATURES = [
  'full',
  'client certificate',
  'resumed',
  '0-RTT',
  'HelloRetryRequest',
  'our KeyUpdate',
  'its KeyUpdate',
  'X25519MLKEM768',
] as const

export type Feature = (typeof FEATURES)[number]

/** Why most peers have nothing in the last column. */
export const NO_MLKEM = 'This version has no X25519MLKEM768'

/** What the peer says of the connection, as far as it says anything. */
export interface FeatureView extends PeerView {
  readonly earlyData?: 'accepted' | 'rejected'
  /** Connections that it made for the feature, the one in question last. @default 1 */
  readonly connections?: number
}

interface FeatureTraits {
  readonly name: string
  /** Or why there is none here. */
  readonly program: Program | string
  /** What the peer cannot do, and why. */
  readonly unsupported: Readonly<Partial<Record<Feature, string>>>
}

/** A client of another make, for our `serve`. */
export interface FeatureClient extends FeatureTraits {
  readonly role: 'client'
  /** Whether it speaks HTTP, rather than expecting an echo. */
  readonly http?: boolean
  prepare(t: TestContext, files: MeshFiles, program: Program): Promise<ConnectWith> | ConnectWith
}

/**
 * Connects to `localhost` with the credential of web, says something, sees it answered and ends cleanly. Its first key
 * share is never of secp384r1, which it supports. For `resumed` it comes back with the session of `client certificate`.
 */
export type ConnectWith = (t: TestContext, feature: Feature, port: number) => Promise<FeatureView>

/** A server of another make, for our `connect`. */
export interface FeatureServer extends FeatureTraits {
  readonly role: 'server'
  /** What our client offers, where our defaults do not do. */
  readonly groups?: (feature: Feature) => string | undefined
  prepare(t: TestContext, files: MeshFiles, program: Program): Promise<ServeWith> | ServeWith
}

/**
 * Serves a connection as catalog, asking for a client certificate without insisting. For `HelloRetryRequest` it wants a
 * group that our ClientHello has no share of.
 */
export type ServeWith = (t: TestContext, feature: Feature) => Promise<FeatureService>

export interface FeatureService {
  readonly port: number
  /** What our client says, each once the one before was answered, if it is; the first may go early. */
  readonly exchanges: readonly { readonly request: string; readonly answer?: RegExp }[]
  /** Resolves once a peer that is the first to close has done so; our client goes on until then. */
  readonly goodbye?: () => Promise<unknown>
  /** Resolves once the connection has ended; `received` is all that our client got. */
  view(received: string): Promise<FeatureView>
}

export type FeaturePeer = FeatureClient | FeatureServer

/** Runs one cell, after those before it in {@link FEATURES}. @throws where it fails */
export type RunCell = (t: TestContext, feature: Feature) => Promise<void>

/** Starts what the cells of a peer share. */
export async function prepareCells(t: TestContext, peer: FeaturePeer, program: Program): Promise<RunCell> {
  const files = await meshFiles(t)
  if (peer.role === 'client')
    return clientCells(t, { files, peer, connect: await peer.prepare(t, files, program) })
  return serverCells({ files, peer, serve: await peer.prepare(t, files, program) })
}

/** A row of cells takes so long at most, also where there is much else to do. */
const ROW_DEADLINE_MS = 180_000

/** More than any peer here sends early. */
const EARLY_DATA_BYTES = '4096'

interface ClientRow {
  readonly files: MeshFiles
  readonly peer: FeatureClient
  readonly connect: ConnectWith
}

function clientCells(rowContext: TestContext, { files, peer, connect }: ClientRow): RunCell {
  const servers = new Map<string, Promise<FeatureTarget>>()
  return async (t, feature) => {
    const args = serveFlags(feature, files)
    const key = args.join(' ')
    const started =
      servers.get(key) ?? FeatureTarget.start(rowContext, peer.http === true ? [...args, '--http'] : args)
    servers.set(key, started)
    const server = await started
    const view = await connect(t, feature, server.port)
    const report = await server.reportOf(view.connections ?? 1)
    assert.equal(report.settled.peer?.name, isAnonymous(feature) ? undefined : WEB)
    checkReport(report, feature, 'server')
    checkView(view, { report, feature, identity: CATALOG })
  }
}

function serveFlags(feature: Feature, { ca, catalog }: MeshFiles): string[] {
  if (isAnonymous(feature)) return [...catalog]
  const mutual = [...catalog, '--ca', ca, '--require-client-cert', '--early-data', EARLY_DATA_BYTES]
  if (feature === 'HelloRetryRequest') return [...mutual, '--groups', 'secp384r1']
  if (feature === 'our KeyUpdate') return [...mutual, '--key-update']
  return mutual
}

/** `handfast tls serve`, for as many connections as come, one after the other. */
class FeatureTarget {
  readonly port: number
  readonly #process: PeerProcess
  #reported = 0

  private constructor(process: PeerProcess, port: number) {
    this.#process = process
    this.port = port
  }

  static async start(t: TestContext, args: Args): Promise<FeatureTarget> {
    const listen = ['tls', 'serve', '--listen', '127.0.0.1:0', '--json']
    const process = startHandfast(t, [listen, ...args], { deadlineMs: ROW_DEADLINE_MS })
    const [, port] = await process.saw(/Listening on 127\.0\.0\.1:(\d+)\n/, 'stderr')
    return new FeatureTarget(process, Number(port))
  }

  /** The report of the last of so many more connections. */
  async reportOf(connections: number): Promise<Report> {
    this.#reported += connections
    const [lines] = await this.#process.saw(new RegExp(`^(?:\\{.*\\}\n){${this.#reported}}`), 'stdout')
    return reportIn(lines.split('\n').at(-2)!)
  }
}

interface ServerRow {
  readonly files: MeshFiles
  readonly peer: FeatureServer
  readonly serve: ServeWith
}

function serverCells({ files, peer, serve }: ServerRow): RunCell {
  const sessions = join(files.directory, 'sessions')
  return async (t, feature) => {
    const service = await serve(t, feature)
    const early = service.exchanges[0]!.request
    const groups = peer.groups?.(feature)
    const client = startHandfast(t, [
      ['tls', 'connect', `127.0.0.1:${service.port}`, '--servername', 'localhost', '--json'],
      ['--ca', files.ca, '--spiffe-id', CATALOG, ...(isAnonymous(feature) ? [] : files.web)],
      groups === undefined ? [] : ['--groups', groups],
      await connectFlags(feature, { sessions, early, files }),
    ])
    for (const { request, answer } of service.exchanges) {
      if (feature !== '0-RTT' || request !== early) client.write(request)
      if (answer !== undefined) await client.saw(answer, 'stdout')
    }
    await service.goodbye?.()
    client.end()
    const { code, stdout, stderr } = await client.ended()
    assert.equal(code, 0, stderr)
    const report = reportIn(stderr)
    assert.equal(report.settled.peer?.name, CATALOG)
    checkReport(report, feature, 'client')
    checkView(await service.view(stdout), {
      report,
      feature,
      identity: isAnonymous(feature) ? undefined : WEB,
    })
  }
}

interface ConnectSetting {
  readonly files: MeshFiles
  readonly sessions: string
  readonly early: string
}

async function connectFlags(feature: Feature, { files, sessions, early }: ConnectSetting): Promise<string[]> {
  if (feature === 'client certificate') return ['--session-out', sessions]
  if (feature === 'resumed') return ['--session-in', sessions, '--session-out', sessions]
  if (feature === 'our KeyUpdate') return ['--key-update']
  if (feature !== '0-RTT') return []
  const path = join(files.directory, 'early')
  await writeFile(path, early)
  return ['--session-in', sessions, '--early-data', path]
}

/** Both sides do without a certificate of the client in these. */
function isAnonymous(feature: Feature): boolean {
  return feature === 'full' || feature === 'X25519MLKEM768'
}

function isResumption(feature: Feature): boolean {
  return feature === 'resumed' || feature === '0-RTT'
}

/** What we say of the connection. */
function checkReport(report: Report, feature: Feature, ours: 'client' | 'server'): void {
  const { outcome, settled, failure } = report
  const { version, serverName, group, resumed, earlyData } = settled
  assert.deepEqual(
    { outcome, version, serverName, resumed, earlyData: earlyData?.outcome, failure },
    {
      outcome: 'established',
      version: 'TLS 1.3',
      serverName: 'localhost',
      resumed: isResumption(feature),
      earlyData: feature === '0-RTT' ? 'accepted' : undefined,
      failure: undefined,
    },
  )
  assert.deepEqual(alertsOf(report).sort(), ['client close_notify', 'server close_notify'])
  const messages = messagesOf(report)
  const has = (message: string): boolean => messages.includes(message)
  assert.deepEqual(
    {
      provesServer: has('server Certificate'),
      provesClient: has('client CertificateVerify'),
      retried: has('server HelloRetryRequest'),
      // A client says so only where the server took its early data.
      endedEarlyData: has('client EndOfEarlyData'),
    },
    {
      provesServer: !isResumption(feature),
      provesClient: !isResumption(feature) && !isAnonymous(feature),
      retried: feature === 'HelloRetryRequest',
      endedEarlyData: feature === '0-RTT',
    },
  )
  const updates = messages.filter((message) => message.endsWith(' KeyUpdate'))
  const theirs = ours === 'client' ? 'server' : 'client'
  if (feature === 'our KeyUpdate') assert.deepEqual(updates, [`${ours} KeyUpdate`, `${theirs} KeyUpdate`])
  else if (feature === 'its KeyUpdate')
    assert.ok(updates.includes(`${theirs} KeyUpdate`), 'It renewed no keys')
  else assert.deepEqual(updates, [])
  if (feature === 'X25519MLKEM768') assert.equal(group, 'X25519MLKEM768')
}

interface Expected {
  readonly report: Report
  readonly feature: Feature
  /** The SPIFFE ID that the peer is to see; undefined where it sees no certificate. */
  readonly identity: string | undefined
}

/** What the peer says must be what we say. */
function checkView(view: FeatureView, { report, feature, identity }: Expected): void {
  const { cipherSuite, group } = report.settled
  assert.deepEqual(
    {
      suite: view.suite ?? cipherSuite,
      group: view.group ?? group,
      // Some forget who it was when they resume.
      identity:
        isResumption(feature) || view.isDiscreet === true ? (view.identity ?? identity) : view.identity,
      isResumed: view.isResumed ?? isResumption(feature),
      earlyData: view.earlyData ?? (feature === '0-RTT' ? 'accepted' : undefined),
    },
    {
      suite: cipherSuite,
      group,
      identity,
      isResumed: isResumption(feature),
      earlyData: feature === '0-RTT' ? 'accepted' : undefined,
    },
  )
}
