import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { GroupName } from '../../../src/crypto/provider.ts'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import { accepting, freePort, PeerProcess, probe, type Program } from '../../support/peers.ts'
import { NO_MLKEM, type FeaturePeer } from '../features.ts'
import { httpExchanges } from '../http-exchanges.ts'
import { LINE_DEADLINE_MS } from '../line-peer.ts'
import { spiffeIdIn, type PeerView } from '../matrix.ts'

export const HAPROXY: Program | string = probe('haproxy', ['-v'], /version (2\.[2-9]\S*|[3-9]\.\S+)/i)

export const HAPROXY_GROUPS: readonly GroupName[] = ['x25519', 'secp256r1', 'secp384r1']

export interface HaproxyServer {
  readonly port: number
  readonly curves: string
  readonly verify: 'required' | 'optional'
}

/** Servers that answer every request with what haproxy knows about the connection. */
export async function startHaproxy(
  t: TestContext,
  files: MeshFiles,
  servers: readonly HaproxyServer[],
): Promise<void> {
  const { catalog, directory } = files
  // It wants chain and key in one file.
  const both = join(directory, 'haproxy.pem')
  await writeFile(both, (await readFile(catalog[1], 'utf8')) + (await readFile(catalog[3], 'utf8')), {
    mode: 0o600,
  })
  const config = join(directory, 'haproxy.cfg')
  await writeFile(config, configuration(files.ca, both, servers))
  const server = new PeerProcess(t, (HAPROXY as Program).path, ['-db', '-f', config], {
    deadlineMs: LINE_DEADLINE_MS,
  })
  await Promise.race([
    accepting(servers[0]!.port),
    server.ended().then(() => Promise.reject(new Error(server.stderr))),
  ])
}

/** What it said in the last answer. */
export function haproxyView(received: string): PeerView {
  const [, suite = 'none', resumed, der = ''] =
    [...received.matchAll(/suite=(\S+) resumed=(\d) early=\d cert=(\S*)$/gm)].at(-1) ?? []
  const names = der === '' ? '' : new X509Certificate(Buffer.from(der, 'base64')).subjectAltName
  const identity = spiffeIdIn(names ?? '')
  return { suite, isResumed: resumed === '1', ...(identity === undefined ? {} : { identity }) }
}

function configuration(ca: string, credential: string, servers: readonly HaproxyServer[]): string {
  const frontends = servers.map(
    ({ port, curves, verify }) => `
frontend on-${port}
  bind 127.0.0.1:${port} ssl crt ${credential} ca-file ${ca} verify ${verify} ssl-min-ver TLSv1.3 curves ${curves} allow-0rtt
  http-request return status 200 content-type text/plain lf-string "%[path] suite=%[ssl_fc_cipher] resumed=%[ssl_fc_is_resumed] early=%[ssl_fc_has_early] cert=%[ssl_c_der,base64]\\n"
`,
  )
  return `
global
  # Without a log there is nobody to tell.
  quiet
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 30s
${frontends.join('')}`
}

export const HAPROXY_ROWS: readonly FeaturePeer[] = [
  {
    role: 'server',
    name: 'haproxy',
    program: HAPROXY,
    unsupported: { 'its KeyUpdate': 'haproxy never renews keys', X25519MLKEM768: NO_MLKEM },
    async prepare(t, files) {
      const [port, other] = [await freePort(), await freePort()]
      await startHaproxy(t, files, [
        { port, curves: 'X25519:P-256', verify: 'optional' },
        { port: other, curves: 'P-256', verify: 'optional' },
      ])
      return (_t, feature) =>
        Promise.resolve({
          port: feature === 'HelloRetryRequest' ? other : port,
          exchanges: httpExchanges(),
          view: (received) => {
            // It says so of what it reads before the handshake is done: of the first request, but not of the second.
            const early = received.includes(' early=1 ') ? { earlyData: 'accepted' as const } : {}
            return Promise.resolve({ ...haproxyView(received), ...early })
          },
        })
    },
  },
]
