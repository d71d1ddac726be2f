import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { X509Certificate } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import { accepting, PeerProcess, probe, type Program } from '../../support/peers.ts'
import type { HttpProgram, HttpServer } from '../http-servers.ts'
import { LINE_DEADLINE_MS } from '../line-peer.ts'
import { spiffeIdIn, type PeerView } from '../matrix.ts'
import { OPENSSL_GROUPS, opensslGroup } from './openssl.ts'

const PROGRAM = probe('haproxy', ['-v'], /version (2\.[2-9]\S*|[3-9]\.\S+)/i)

export const HAPROXY: HttpProgram = {
  name: 'haproxy',
  program: PROGRAM,
  groups: OPENSSL_GROUPS,
  start,
  answer: 'suite=.*',
  view: viewIn,
}

async function start(t: TestContext, files: MeshFiles, servers: readonly HttpServer[]): Promise<void> {
  const { catalog, directory } = files
  // It wants chain and key in one file.
  const both = join(directory, 'haproxy.pem')
  await writeFile(both, (await readFile(catalog[1], 'utf8')) + (await readFile(catalog[3], 'utf8')), {
    mode: 0o600,
  })
  const config = join(directory, 'haproxy.cfg')
  await writeFile(config, configuration(files.ca, both, servers))
  const server = new PeerProcess(t, (PROGRAM as Program).path, ['-db', '-f', config], {
    deadlineMs: LINE_DEADLINE_MS,
  })
  await Promise.race([
    accepting(servers[0]!.port),
    server.ended().then(() => Promise.reject(new Error(server.stderr))),
  ])
}

function viewIn(received: string): PeerView {
  const [, suite = 'none', resumed, der = ''] =
    [...received.matchAll(/suite=(\S+) resumed=(\d) early=\d cert=(\S*)$/gm)].at(-1) ?? []
  const names = der === '' ? '' : new X509Certificate(Buffer.from(der, 'base64')).subjectAltName
  const identity = spiffeIdIn(names ?? '')
  return { suite, isResumed: resumed === '1', ...(identity === undefined ? {} : { identity }) }
}

function configuration(ca: string, credential: string, servers: readonly HttpServer[]): string {
  const frontends = servers.map(
    ({ port, groups, requiresCertificate }) => `
frontend on-${port}
  bind 127.0.0.1:${port} ssl crt ${credential} ca-file ${ca} verify ${requiresCertificate ? 'required' : 'optional'} ssl-min-ver TLSv1.3 curves ${groups.map(opensslGroup).join(':')} allow-0rtt
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
