import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import { accepting, freePort, PeerProcess, probe, type Program } from '../../support/peers.ts'
import { NO_MLKEM, type FeaturePeer } from '../features.ts'
import { httpExchanges } from '../http-exchanges.ts'
import { LINE_DEADLINE_MS } from '../line-peer.ts'
import { spiffeIdOfPem, type PeerView } from '../matrix.ts'
import { groupFromOpenssl } from './openssl.ts'

/** $ssl_curve came with 1.21.5. */
export const NGINX: Program | string = probe('nginx', ['-v'], /nginx\/(1\.(?:2[2-9]|[3-9]\d|\d{3})\.\S*)/)

export interface NginxServer {
  readonly port: number
  /** As `ssl_ecdh_curve` has it. */
  readonly curves: string
  readonly verifyClient: 'on' | 'optional'
}

/** Servers that answer every request with what nginx knows about the connection. */
export async function startNginx(
  t: TestContext,
  files: MeshFiles,
  servers: readonly NginxServer[],
): Promise<void> {
  const config = join(files.directory, 'nginx.conf')
  await writeFile(config, configuration(files, servers))
  // No -p: all paths are given.
  const server = new PeerProcess(t, (NGINX as Program).path, ['-e', 'stderr', '-c', config], {
    deadlineMs: LINE_DEADLINE_MS,
  })
  await Promise.race([
    accepting(servers[0]!.port),
    server.saw(/emerg/).then(() => Promise.reject(new Error(server.stderr))),
  ])
}

/** What it said in the last answer. */
export function nginxView(received: string): PeerView {
  const [, suite = 'none', curve = 'none', reused, pem = ''] =
    [...received.matchAll(/suite=(\S+) group=(\S+) reused=(\S+) early=\d? cert=(\S*)$/gm)].at(-1) ?? []
  const identity = spiffeIdOfPem(decodeURIComponent(pem))
  return {
    suite,
    group: groupFromOpenssl(curve),
    isResumed: reused === 'r',
    ...(identity === undefined ? {} : { identity }),
  }
}

function configuration({ ca, catalog, directory }: MeshFiles, servers: readonly NginxServer[]): string {
  const [, cert, , key] = catalog
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${directory}/nginx-${kind};`,
  )
  const blocks = servers.map(
    ({ port, curves, verifyClient }) => `
  server {
    listen 127.0.0.1:${port} ssl;
    server_name localhost;
    ssl_protocols TLSv1.3;
    ssl_early_data on;
    ssl_ecdh_curve ${curves};
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_client_certificate ${ca};
    ssl_verify_client ${verifyClient};
    ssl_verify_depth 4;
    default_type text/plain;
    return 200 "$request_uri $ssl_client_verify $ssl_protocol $ssl_server_name suite=$ssl_cipher group=$ssl_curve reused=$ssl_session_reused early=$ssl_early_data cert=$ssl_client_escaped_cert\\n";
  }`,
  )
  return `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
${temporary.join('\n')}${blocks.join('')}
}
`
}

export const NGINX_ROWS: readonly FeaturePeer[] = [
  {
    role: 'server',
    name: 'nginx',
    program: NGINX,
    unsupported: { 'its KeyUpdate': 'nginx never renews keys', X25519MLKEM768: NO_MLKEM },
    async prepare(t, files) {
      const [port, other] = [await freePort(), await freePort()]
      await startNginx(t, files, [
        { port, curves: 'X25519:prime256v1', verifyClient: 'optional' },
        { port: other, curves: 'prime256v1', verifyClient: 'optional' },
      ])
      return (_t, feature) =>
        Promise.resolve({
          port: feature === 'HelloRetryRequest' ? other : port,
          exchanges: httpExchanges(),
          view: (received) => {
            // It says so of what it reads before the handshake is done: of the first request, but not of the second.
            const early = received.includes(' early=1 ') ? { earlyData: 'accepted' as const } : {}
            return Promise.resolve({ ...nginxView(received), ...early })
          },
        })
    },
  },
]
