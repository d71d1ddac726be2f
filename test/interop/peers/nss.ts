/** The tools of NSS, on whose library Firefox stands: `tstclnt` and `selfserv`. Both speak HTTP. */
import { execFileSync } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { GroupName } from '../../../src/crypto/provider.ts'
import { CipherSuite, type CipherSuiteName } from '../../../src/tls/registry.ts'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import { accepting, freePort, PeerProcess, probe, type Program } from '../../support/peers.ts'
import type { FeatureService, FeatureView } from '../features.ts'
import { LINE_DEADLINE_MS } from '../line-peer.ts'
import { spiffeIdOfPem } from '../matrix.ts'
import { OPENSSL, writePkcs12 } from './openssl.ts'

/** The tools come together, and one of them names the version of their library. */
export const NSS: Program | string =
  typeof OPENSSL === 'string'
    ? OPENSSL
    : probe('modutil', ['-nocertdb', '-list'], /library-version=(3\.(?:[6-9]\d|\d{3}))/)

const SUITES: Readonly<Record<string, string>> = {
  '128-bit AES-GCM': 'TLS_AES_128_GCM_SHA256',
  '256-bit AES-GCM': 'TLS_AES_256_GCM_SHA384',
  '256-bit CHACHA20POLY1305': 'TLS_CHACHA20_POLY1305_SHA256',
}

/** NSS has some more that nobody else here has. */
export const NSS_GROUPS: readonly GroupName[] = ['x25519', 'secp256r1', 'secp384r1']

const GROUP_NAMES: Readonly<Partial<Record<GroupName, string>>> = {
  x25519: 'x25519',
  secp256r1: 'P256',
  secp384r1: 'P384',
}

/** Flags that restrict a party to these groups. */
export function nssGroups(groups: readonly GroupName[]): string[] {
  return ['-I', groups.map((group) => GROUP_NAMES[group]).join(',')]
}

/** A flag that restricts a client to one suite. */
export function nssSuite(suite: CipherSuiteName): string[] {
  return ['-c', `:${CipherSuite[suite].toString(16)}`]
}

const PASSWORD = 'changeit'

/** A database with a credential and our root, as flags of both tools. */
export async function nssFlags(
  { ca, directory }: MeshFiles,
  credential: MeshFiles['web'],
): Promise<string[]> {
  const path = await mkdtemp(join(directory, 'nss-'))
  const place = `sql:${path}`
  const p12 = join(path, 'own.p12')
  writePkcs12(credential, { path: p12, name: 'own', password: PASSWORD })
  const run = (tool: string, ...args: readonly string[]): void => {
    execFileSync(tool, args, { stdio: 'ignore' })
  }
  run('certutil', '-N', '-d', place, '--empty-password')
  run('certutil', '-A', '-d', place, '-n', 'root', '-t', 'CT,C,C', '-i', ca)
  run('pk12util', '-i', p12, '-d', place, '-W', PASSWORD, '-K', '')
  return ['-d', place, '-n', 'own', '-V', 'tls1.3:tls1.3', '-v']
}

/**
 * Connects with tstclnt, which sends two requests over each connection and waits for the server to end it: an echo would
 * not.
 *
 * @param connections how many of them, one after the other
 */
export async function tstclnt(
  t: TestContext,
  port: number,
  { flags, connections }: { readonly flags: readonly string[]; readonly connections: number },
): Promise<FeatureView> {
  const client = new PeerProcess(t, 'tstclnt', [
    ['-4', '-h', 'localhost', '-p', String(port), '-CCC', '-L', String(connections), ...flags],
  ])
  client.end()
  const { code, stdout, stderr } = await client.ended()
  if (code !== 0) throw new Error(stderr)
  const bodies = stdout.match(/^resumed +\S+\nearly data +\S+/gm) ?? []
  if (bodies.length !== 2 * connections) throw new Error(`Answered: ${stdout}`)
  const identity = spiffeIdOfPem(stderr)
  return {
    ...suiteIn(stderr),
    connections,
    isResumed: resumptionsIn(stderr) === 1,
    // It does not say so, but the answer of our server to what it sent does.
    ...(/^early data +accepted/m.test(bodies.at(-1)!) ? { earlyData: 'accepted' } : {}),
    ...(identity === undefined ? {} : { identity }),
  }
}

/** What tstclnt sends, by the flag that names its file. */
export async function tstclntRequests({ directory }: MeshFiles): Promise<string[]> {
  const path = join(directory, 'nss.requests')
  const last = 'GET /two HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
  await writeFile(path, `${REQUEST_START}\r\n${last}`)
  return ['-A', path]
}

export interface Selfserv {
  readonly process: PeerProcess
  readonly port: number
}

export async function startSelfserv(t: TestContext, flags: readonly string[]): Promise<Selfserv> {
  const port = await freePort()
  const process = new PeerProcess(t, 'selfserv', ['-p', String(port), ...flags], {
    deadlineMs: LINE_DEADLINE_MS,
  })
  await accepting(port)
  return { process, port }
}

const REQUEST_START = 'GET /one HTTP/1.1\r\nHost: localhost\r\n'

/** selfserv sends back what it was asked, and ends. */
const ANSWER = /^HTTP\/1\.0 200 OK\r?\n[^]*^GET \/one HTTP\/1\.1\r?\n[^]*EOF/m

/** One connection of selfserv. */
export function selfservService({ process, port }: Selfserv): FeatureService {
  const before = { stdout: process.stdout.length, stderr: process.stderr.length }
  const resumptions = resumptionsIn(process.stdout)
  return {
    port,
    // If it had all of it early, it would end before our Finished is there.
    exchanges: [{ request: REQUEST_START }, { request: '\r\n', answer: ANSWER }],
    view: async () => {
      await process.saw(/stateless resumes/, 'stdout', before.stdout)
      return {
        // Which it leaves out where it answers before the handshake is done.
        ...suiteIn(process.stderr.slice(before.stderr)),
        isDiscreet: true,
        isResumed: resumptionsIn(process.stdout) > resumptions,
      }
    },
  }
}

/** Both tools count them. */
function resumptionsIn(text: string): number {
  return Number([...text.matchAll(/^ *(\d+) stateless resumes/gm)].at(-1)?.[1] ?? 0)
}

function suiteIn(text: string): { suite?: string } {
  const printed = [...text.matchAll(/SSL version 3\.4 using (\S+ \S+) with/g)].at(-1)?.[1]
  return printed === undefined ? {} : { suite: SUITES[printed] ?? printed }
}
