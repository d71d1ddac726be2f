import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import { accepting, PeerProcess, probe, type Program } from '../../support/peers.ts'
import type { HttpProgram, HttpServer } from '../http-servers.ts'
import { LINE_DEADLINE_MS } from '../line-peer.ts'
import { spiffeIdOfPem, type PeerView } from '../matrix.ts'
import { groupFromOpenssl, OPENSSL_GROUPS, opensslGroup } from './openssl.ts'

/** $ssl_curve came with 1.21.5. */
const PROGRAM = probe('nginx', ['-v'], /nginx\/(1\.(?:2[2-9]|[3-9]\d|\d{3})\.\S*)/)

export const NGINX: HttpProgram = {
  name: 'nginx',
  program: PROGRAM,
  groups: OPENSSL_GROUPS,
  start,
  answer: String.raw`SUCCESS TLSv1\.3 localhost .*`,
  view: viewIn,
}

async function start(t: TestContext, files: MeshFiles, servers: readonly HttpServer[]): Promise<void> {
  const config = join(files.directory, 'nginx.conf')
  await writeFile(config, configuration(files, servers))
  // No -p: all paths are given.
  const server = new PeerProcess(t, (PROGRAM as Program).path, ['-e', 'stderr', '-c', config], {
    deadlineMs: LINE_DEADLINE_MS,
  })
  await Promise.race([
    accepting(servers[0]!.port),
    server.saw(/emerg/).then(() => Promise.reject(new Error(server.stderr))),
  ])
}

function viewIn(received: string): PeerView {
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

function configuration({ ca, catalog, directory }: MeshFiles, servers: readonly HttpServer[]): string {
  const [, cert, , key] = catalog
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${directory}/nginx-${kind};`,
  )
  const blocks = servers.map(
    ({ port, groups, requiresCertificate }) => `
  server {
    listen 127.0.0.1:${port} ssl;
    server_name localhost;
    ssl_protocols TLSv1.3;
    ssl_early_data on;
    ssl_ecdh_curve ${groups.map(opensslGroup).join(':')};
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_client_certificate ${ca};
    ssl_verify_client ${requiresCertificate ? 'on' : 'optional'};
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
