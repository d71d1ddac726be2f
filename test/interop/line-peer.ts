/**
 * Peers that take long to start, kept running for many connections. They read a line for each on standard input,
 * `connect ID PORT` or `serve ID`, and print lines that start with the ID: `listening PORT`, `session VERSION SUITE
 * URIS`, `received TEXT`, `closed` once both sides have ended their halves, or `failed WHY`. At first they say `ready`.
 */
import type { PeerProcess } from '../support/peers.ts'
import { spiffeIdIn, type ConnectTo, type PeerView, type ServeOne } from './matrix.ts'

export class LinePeer {
  readonly #process: PeerProcess
  #count = 0

  private constructor(process: PeerProcess) {
    this.#process = process
  }

  /** @throws when it ends before it is ready */
  static async start(process: PeerProcess): Promise<LinePeer> {
    await process.saw(/^ready$/m, 'stdout')
    return new LinePeer(process)
  }

  /** As client. */
  readonly connect: ConnectTo = async (_t, _cell, port) => {
    const id = this.#order('connect', port)
    await this.#saw(id, `received said by ${id}$`)
    return this.#view(id)
  }

  /** As server. */
  readonly serve: ServeOne = async () => {
    const id = this.#order('serve')
    const [, port] = await this.#saw(id, String.raw`listening (\d+)$`)
    return {
      port: Number(port),
      request: `said to ${id}\n`,
      answer: new RegExp(`^said to ${id}\n$`),
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
    const [, suite, names] = await this.#saw(id, String.raw`session TLSv1\.3 (\S+)(.*)$`)
    const identity = spiffeIdIn(names!)
    return { suite: suite!, ...(identity === undefined ? {} : { identity }) }
  }

  /** @throws at once when it says that it failed */
  async #saw(id: string, rest: string): Promise<RegExpExecArray> {
    const line = new RegExp(`^${id} (?:failed .*|${rest})`, 'm')
    const match = await this.#process.saw(line, 'stdout')
    if (match[0].startsWith(`${id} failed`)) throw new Error(match[0])
    return match
  }
}
