/** The tools of NSS, on whose library Firefox stands: `tstclnt` and `selfserv`. Both speak HTTP. */
import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import { accepting, freePort, PeerProcess, probe, type Program } from '../../support/peers.ts'
import {
  NO_MLKEM,
  type Feature,
  type FeatureClient,
  type FeaturePeer,
  type FeatureServer,
} from '../features.ts'
import { LINE_DEADLINE_MS } from '../line-peer.ts'
import { spiffeIdOfPem } from '../matrix.ts'
import { OPENSSL } from './openssl.ts'

const PASSWORD = 'changeit'

/** The tools come together, and one of them names the version of their library. */
const NSS: Program | string =
  typeof OPENSSL === 'string'
    ? OPENSSL
    : probe('modutil', ['-nocertdb', '-list'], /library-version=(3\.(?:[6-9]\d|\d{3}))/)

const UPDATE = 'The tools of NSS have no command to renew keys'

const SUITES: Readonly<Record<string, string>> = {
  '128-bit AES-GCM': 'TLS_AES_128_GCM_SHA256',
  '256-bit AES-GCM': 'TLS_AES_256_GCM_SHA384',
  '256-bit ChaCha20-Poly1305': 'TLS_CHACHA20_POLY1305_SHA256',
}

/** A database with a credential and our root. */
async function database(
  name: string,
  { ca, directory }: MeshFiles,
  [, cert, , key]: MeshFiles['web'],
): Promise<string> {
  const path = join(directory, `nss-${name}`)
  await mkdir(path)
  const place = `sql:${path}`
  const p12 = join(path, 'own.p12')
  const run = (tool: string, ...args: readonly string[]): void => {
    execFileSync(tool, args, { stdio: 'ignore' })
  }
  run('certutil', '-N', '-d', place, '--empty-password')
  run('certutil', '-A', '-d', place, '-n', 'root', '-t', 'CT,C,C', '-i', ca)
  run(
    (OPENSSL as Program).path,
    'pkcs12',
    '-export',
    '-name',
    'own',
    '-in',
    cert,
    '-inkey',
    key,
    '-out',
    p12,
    '-passout',
    `pass:${PASSWORD}`,
  )
  run('pk12util', '-i', p12, '-d', place, '-W', PASSWORD, '-K', '')
  return place
}

const COMMON = ['-n', 'own', '-V', 'tls1.3:tls1.3', '-v']

const CLIENT: FeatureClient = {
  role: 'client',
  name: 'NSS tstclnt',
  program: NSS,
  unsupported: { 'its KeyUpdate': UPDATE, X25519MLKEM768: NO_MLKEM },
  // It waits for the server to end the connection, which an echo does not.
  http: true,
  async prepare(_t, files) {
    const place = await database('client', files, files.web)
    const requests = join(files.directory, 'nss.requests')
    await writeFile(requests, `${request('one')}${request('two', 'Connection: close\r\n')}`)
    // It connects twice, and resumes the second time.
    const resuming = ['-u', '-L', '2']
    const flags: Readonly<Partial<Record<Feature, readonly string[]>>> = {
      resumed: resuming,
      '0-RTT': [...resuming, '-Z'],
    }
    return async (t, feature, port) => {
      const client = new PeerProcess(t, 'tstclnt', [
        ['-4', '-h', 'localhost', '-p', String(port), '-d', place, '-A', requests, ...COMMON, '-CCC'],
        flags[feature] ?? [],
      ])
      client.end()
      const { code, stdout, stderr } = await client.ended()
      if (code !== 0) throw new Error(stderr)
      const bodies = stdout.match(/^resumed +\S+\nearly data +\S+/gm) ?? []
      const connections = flags[feature] === undefined ? 1 : 2
      if (bodies.length !== 2 * connections) throw new Error(`Answered: ${stdout}`)
      const resumptions = /^(\d+) stateless resumes$/gm
      return {
        ...suiteIn(stderr),
        ...identityIn(stderr),
        connections,
        isResumed: [...stderr.matchAll(resumptions)].at(-1)?.[1] === '1',
        // What it wrote before the handshake was done; our server's answer says that it came early.
        ...(/^early data +accepted/m.test(bodies.at(-1)!) ? { earlyData: 'accepted' } : {}),
      }
    }
  },
}

/**
 * A server that has just started does not know what was replayed from before: in its first window it takes no early
 * data. selfserv's window has ten seconds.
 */
const ANTI_REPLAY_WINDOW_MS = 10_000

const SERVER: FeatureServer = {
  role: 'server',
  name: 'NSS selfserv',
  program: NSS,
  unsupported: { 'its KeyUpdate': UPDATE, X25519MLKEM768: NO_MLKEM },
  async prepare(t, files) {
    const place = await database('server', files, files.catalog)
    const start = async (groups: string): Promise<{ server: PeerProcess; port: number }> => {
      const port = await freePort()
      const server = new PeerProcess(
        t,
        'selfserv',
        [['-d', place, '-p', String(port), '-r', '-u', '-Z', '-I', groups, ...COMMON]],
        { deadlineMs: LINE_DEADLINE_MS },
      )
      await accepting(port)
      return { server, port }
    }
    const [usual, other] = await Promise.all([start('x25519,P256'), start('P256')])
    const startedAtMs = performance.now()
    return async (_t, feature) => {
      if (feature === '0-RTT') await delay(ANTI_REPLAY_WINDOW_MS - (performance.now() - startedAtMs))
      const { server, port } = feature === 'HelloRetryRequest' ? other : usual
      const before = server.stdout.length
      return {
        port,
        // It sends back what it was asked, and ends at once: before our Finished is there, if it has all of it early.
        exchanges: [
          { request: 'GET /one HTTP/1.1\r\nHost: localhost\r\n' },
          { request: '\r\n', answer: /^HTTP\/1\.0 200 OK\r?\n[^]*^GET \/one HTTP\/1\.1\r?\n[^]*EOF/m },
        ],
        view: async () => {
          const [said] = await server.saw(new RegExp(`(?<=^[^]{${before}})[^]*stateless resumes`), 'stdout')
          return {
            ...suiteIn(said),
            isResumed: !said.includes('Certificate Validated') && feature !== 'full',
            isDiscreet: true,
          }
        },
      }
    }
  },
}

function request(name: string, more = ''): string {
  return `GET /${name} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`
}

function suiteIn(text: string): { suite?: string } {
  const printed = [...text.matchAll(/SSL version 3\.4 using (\S+ \S+) with/g)].at(-1)?.[1]
  return printed === undefined ? {} : { suite: SUITES[printed] ?? printed }
}

function identityIn(text: string): { identity?: string } {
  const identity = spiffeIdOfPem(text)
  return identity === undefined ? {} : { identity }
}

export const NSS_ROWS: readonly FeaturePeer[] = [CLIENT, SERVER]
