import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MeshFiles } from '../cmd/tls-files.ts'
import { accepting, freePort, PeerProcess, probe } from '../support/peers.ts'
import { spiffeIdOfPem, testConnect } from './matrix.ts'
import { groupFromOpenssl, OPENSSL_GROUPS } from './peers/openssl.ts'

testConnect({
  name: 'nginx',
  // $ssl_curve came with 1.21.5.
  program: probe('nginx', ['-v'], /nginx\/(1\.(?:2[2-9]|[3-9]\d|\d{3})\.\S*)/),
  groups: OPENSSL_GROUPS,
  choosesCell: false,
  async prepare(t, files, { path }) {
    const port = await freePort()
    const config = join(files.directory, 'nginx.conf')
    await writeFile(config, configuration(files, port))
    // No -p: all paths are given.
    const server = new PeerProcess(t, path, ['-e', 'stderr', '-c', config], { deadlineMs: 60_000 })
    await Promise.race([
      accepting(port),
      server.saw(/emerg/).then(() => Promise.reject(new Error(server.stderr))),
    ])
    let count = 0
    return () => {
      const url = `/asked-${++count}`
      return Promise.resolve({
        port,
        request: `GET ${url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
        answer: new RegExp(`^HTTP/1\\.1 200 OK\r\n[^]*\r\n\r\n${url} SUCCESS TLSv1\\.3 localhost `),
        view: (received) => {
          const [, suite = 'none', curve = 'none', pem = ''] =
            /suite=(\S+) group=(\S+) cert=(\S+)$/.exec(received) ?? []
          const identity = spiffeIdOfPem(decodeURIComponent(pem))
          return Promise.resolve({
            suite,
            group: groupFromOpenssl(curve),
            ...(identity === undefined ? {} : { identity }),
          })
        },
      })
    }
  },
})

/** Answers every request with what nginx knows about the connection. */
function configuration({ ca, catalog, directory }: MeshFiles, port: number): string {
  const [, cert, , key] = catalog
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${directory}/nginx-${kind};`,
  )
  return `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
${temporary.join('\n')}
  server {
    listen 127.0.0.1:${port} ssl;
    server_name localhost;
    ssl_protocols TLSv1.3;
    ssl_ecdh_curve X25519:prime256v1:secp384r1;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_client_certificate ${ca};
    ssl_verify_client on;
    ssl_verify_depth 4;
    default_type text/plain;
    return 200 "$request_uri $ssl_client_verify $ssl_protocol $ssl_server_name suite=$ssl_cipher group=$ssl_curve cert=$ssl_client_escaped_cert";
  }
}
`
}
