/**
 * Peers in programs of ours, on libraries of other makes, kept running for many connections. They read a line for each
 * on standard input: `connect ID PORT WISHES` or `serve ID WISHES`. A client says `said by ID` twice, each time waiting
 * for the echo; a server sends back what comes, to the end. A wish is a word; a peer that does not know one ignores it:
 *
 * - `group=NAME`: take this group and no other
 * - `resume`: keep the session, and resume the one kept before
 * - `update`: renew the keys, as client between the two times, as server before the first echo
 *
 * They print lines that start with the ID: `listening PORT`, `session SUITE GROUP KIND URIS`, where KIND is full or
 * resumed, `received TEXT`, `closed` once both sides have ended their halves, or `failed WHY`. At first they say `ready`.
 */
import type { TestContext } from 'node:test'
import type { GroupName } from '../../src/crypto/provider.ts'
import type { MeshFiles } from '../cmd/tls-files.ts'
import type { PeerProcess, Program } from '../support/peers.ts'
import { spiffeIdIn, testConnect, testServe, type OneService, type PeerView } from './matrix.ts'

/** For all the connections of a test, where there is much else to do. */
export const LINE_DEADLINE_MS = 180_000

/** A program that makes line peers. */
export interface LineProgram {
  readonly name: string
  /** Or why there is none here. */
  readonly program: Program | string
  readonly groups: readonly GroupName[]
  /** Whether, as server, it is the first to close. @default false */
  readonly closesFirst?: boolean
  start(t: TestContext, program: Program, setting: LineSetting): Promise<PeerProcess> | PeerProcess
}

export interface LineSetting {
  readonly files: MeshFiles
  readonly credential: MeshFiles['web']
}

/** The matrix of suites and groups; it is we who choose. */
export function testLinePeer(peer: LineProgram): void {
  testServe({
    ...peer,
    choosesCell: false,
    prepare: async (t, files, program) => {
      const party = await LinePeer.start(peer.start(t, program, { files, credential: files.web }), peer)
      return (_t, _cell, port) => party.connect(port)
    },
  })
  testConnect({
    ...peer,
    choosesCell: false,
    prepare: async (t, files, program) => {
      const party = await LinePeer.start(peer.start(t, program, { files, credential: files.catalog }), peer)
      return () => party.serve()
    },
  })
}

export class LinePeer {
  readonly #process: PeerProcess
  readonly #closesFirst: boolean
  #count = 0

  private constructor(process: PeerProcess, closesFirst: boolean) {
    this.#process = process
    this.#closesFirst = closesFirst
  }

  /** @throws when it ends before it is ready */
  static async start(
    starting: Promise<PeerProcess> | PeerProcess,
    { closesFirst = false }: Pick<LineProgram, 'closesFirst'>,
  ): Promise<LinePeer> {
    const process = await starting
    await process.saw(/^ready$/m, 'stdout')
    return new LinePeer(process, closesFirst)
  }

  /** As client. */
  async connect(port: number, ...wishes: readonly string[]): Promise<PeerView> {
    const id = this.#order('connect', port, ...wishes)
    await this.#saw(id, `received said by ${id}$`)
    return this.#view(id)
  }

  /** As server. */
  async serve(...wishes: readonly string[]): Promise<OneService> {
    const id = this.#order('serve', ...wishes)
    const [, port] = await this.#saw(id, String.raw`listening (\d+)$`)
    return {
      port: Number(port),
      request: `said to ${id}\n`,
      answer: new RegExp(`^said to ${id}\n$`),
      ...(this.#closesFirst ? { goodbye: () => this.#saw(id, 'closed$') } : {}),
      view: () => this.#view(id),
    }
  }

  #order(verb: string, ...words: readonly (string | number)[]): string {
    const id = `peer-${++this.#count}-${verb}`
    this.#process.write([verb, id, ...words].join(' ') + '\n')
    return id
  }

  async #view(id: string): Promise<PeerView> {
    await this.#saw(id, 'closed$')
    const [, suite, group, kind, uris] = await this.#saw(
      id,
      String.raw`session (\S+) (\S+) (full|resumed) ?(.*)$`,
    )
    const identity = spiffeIdIn(uris!)
    return {
      suite: suite!,
      isResumed: kind === 'resumed',
      ...(group === 'unknown' ? {} : { group: group! }),
      ...(identity === undefined ? {} : { identity }),
    }
  }

  /** @throws at once when it says that it failed */
  async #saw(id: string, rest: string): Promise<RegExpExecArray> {
    const line = new RegExp(`^${id} (?:failed .*|${rest})`, 'm')
    const match = await this.#process.saw(line, 'stdout')
    if (match[0].startsWith(`${id} failed`)) throw new Error(match[0])
    return match
  }
}
