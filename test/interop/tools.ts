/** Our tools, and OpenSSL's, started with what most tests give them. */
import type { TestContext } from 'node:test'
import { PeerProcess, startHandfast, type Args } from '../support/peers.ts'
import { OPENSSL, opensslPath } from './peers/openssl.ts'

/** Why tests with OpenSSL are skipped; false where they are not. */
export const WITHOUT_OPENSSL: string | false = typeof OPENSSL === 'string' ? OPENSSL : false

export interface Listening {
  readonly process: PeerProcess
  readonly port: number
}

/** `handfast tls serve` for one connection, with a report on standard output. */
export async function serveOnce(t: TestContext, ...args: Args): Promise<Listening> {
  const process = startHandfast(t, ['tls', 'serve', '--listen', '127.0.0.1:0', '--once', '--json', ...args])
  const [, port] = await process.saw(/Listening on 127\.0\.0\.1:(\d+)\n/, 'stderr')
  return { process, port: Number(port) }
}

/** `handfast tls connect` to a port of loopback. */
export function connectTo(t: TestContext, port: number, ...args: Args): PeerProcess {
  return startHandfast(t, ['tls', 'connect', `127.0.0.1:${port}`, ...args])
}

export function opensslClient(t: TestContext, port: number, ...args: Args): PeerProcess {
  return new PeerProcess(t, opensslPath(), ['s_client', '-connect', `127.0.0.1:${port}`, ...args])
}

/** `openssl s_server` for one connection. */
export async function opensslServer(t: TestContext, ...args: Args): Promise<Listening> {
  // Line by line, or much of what it says would come late.
  const process = new PeerProcess(t, 'stdbuf', [
    ['-oL', opensslPath(), 's_server', '-accept', '127.0.0.1:0', '-naccept', '1'],
    ...args,
  ])
  const [, port] = await process.saw(/^ACCEPT \S+:(\d+)$/m, 'stdout')
  return { process, port: Number(port) }
}
