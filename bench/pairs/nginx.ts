import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, Program, which } from '../support/program.ts'
import { writeCredentials } from './credentials.ts'
import { CATALOG_NAME, KINDS, SUITE, workloadsOf, type Pair, type PairOptions } from './pair.ts'

/** Where Debian's libnginx-mod-stream puts it; elsewhere it is built in. */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so'

/** nginx as two stream proxies with one worker each; none where it is not installed. */
export async function nginxPairs(options: PairOptions): Promise<readonly Pair[]> {
  const nginx = which('nginx')
  if (nginx === undefined) return []
  const pairs: Pair[] = []
  for (const { suffix, resumes } of KINDS) pairs.push(await start(nginx, { ...options, suffix, resumes }))
  return pairs
}

interface NginxOptions extends PairOptions {
  readonly suffix: string
  readonly resumes: boolean
}

async function start(nginx: string, options: NginxOptions): Promise<Pair> {
  const { directory, backendPort, suffix, resumes } = options
  const [entry, gate] = [await freePort(), await freePort()]
  const own = join(directory, `nginx-${resumes ? 'resumes' : 'full'}`)
  const { web, catalog } = await writeCredentials(own)
  const inbound = await startNginx(nginx, join(own, 'in'), {
    options,
    port: gate,
    server: `
      listen 127.0.0.1:${gate} ssl backlog=4096;
      ssl_protocols TLSv1.3;
      ssl_conf_command Ciphersuites ${SUITE};
      ssl_ecdh_curve X25519;
      ssl_certificate ${catalog}/cert.pem;
      ssl_certificate_key ${catalog}/key.pem;
      ssl_client_certificate ${catalog}/ca.pem;
      ssl_verify_client on;
      ssl_verify_depth 3;
      ${resumes ? 'ssl_session_cache shared:sessions:10m;' : 'ssl_session_cache off; ssl_session_tickets off;'}
      proxy_pass 127.0.0.1:${backendPort};`,
  })
  const outbound = await startNginx(nginx, join(own, 'out'), {
    options,
    port: entry,
    server: `
      listen 127.0.0.1:${entry} backlog=4096;
      proxy_pass 127.0.0.1:${gate};
      proxy_ssl on;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_conf_command Ciphersuites ${SUITE};
      proxy_ssl_certificate ${web}/cert.pem;
      proxy_ssl_certificate_key ${web}/key.pem;
      proxy_ssl_trusted_certificate ${web}/ca.pem;
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 3;
      proxy_ssl_name ${CATALOG_NAME};
      proxy_ssl_session_reuse ${resumes ? 'on' : 'off'};`,
  })
  return {
    name: `nginx${suffix}`,
    port: entry,
    proxies: [inbound, outbound],
    workloads: workloadsOf(resumes),
  }
}

interface NginxParts {
  readonly options: NginxOptions
  readonly port: number
  /** The directives of its one server. */
  readonly server: string
}

async function startNginx(
  nginx: string,
  directory: string,
  { options, port, server }: NginxParts,
): Promise<Program> {
  await mkdir(directory, { recursive: true })
  const config = join(directory, 'nginx.conf')
  await writeFile(
    config,
    `daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
${existsSync(STREAM_MODULE) ? `load_module ${STREAM_MODULE};` : ''}
events { worker_connections 20000; }
stream {
    server {${server}
      proxy_buffer_size 64k;
      tcp_nodelay on;
    }
}
`,
  )
  const log = join(directory, 'error.log')
  const command = [nginx, '-p', directory, '-c', config, '-e', log]
  const program = options.programs.use(new Program(`nginx ${directory}`, command))
  await program.listening(port)
  return program
}
