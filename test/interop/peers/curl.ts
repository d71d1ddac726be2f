import { PeerProcess, probe, type Program } from '../../support/peers.ts'
import { WEB, type MeshFiles } from '../../cmd/tls-files.ts'
import { NO_MLKEM, type FeaturePeer } from '../features.ts'
import { spiffeIdOfPem, type PeerView } from '../matrix.ts'

/** Suites and groups can be chosen with curl's OpenSSL backend only; %{certs} came with 7.88. */
export const CURL: Program | string = probe(
  'curl',
  ['--version'],
  /^curl ((?:7\.(?:8[89]|9\d)|[89]\.|\d\d\.).*OpenSSL\/(?:1\.1\.1|[3-9]\.)\S*)/,
)

/** What every transfer has; what it verified goes to standard output, after the answer. */
export function curlFlags({ ca, web }: MeshFiles, port: number): string[] {
  const [, cert, , key] = web
  return [
    ['--silent', '--show-error', '--fail', '--verbose', '--http1.1', '--tlsv1.3', '--noproxy', '*'],
    ['--resolve', `localhost:${port}:127.0.0.1`, '--cacert', ca, '--cert', cert, '--key', key],
    ['--write-out', '%{certs}'],
  ].flat()
}

/** What it says of its last connection. */
export function curlView(stdout: string, stderr: string): PeerView {
  const identity = spiffeIdOfPem(stdout)
  return {
    suite: [...stderr.matchAll(/SSL connection using TLSv1\.3 \/ (\S+)/g)].at(-1)?.[1] ?? 'none',
    ...(identity === undefined ? {} : { identity }),
  }
}

export const CURL_ROWS: readonly FeaturePeer[] = [
  {
    role: 'client',
    name: 'curl',
    program: CURL,
    http: true,
    unsupported: {
      '0-RTT': 'This curl has no 0-RTT',
      'its KeyUpdate': 'curl never renews keys',
      X25519MLKEM768: NO_MLKEM,
    },
    prepare:
      (_t, files, { path }) =>
      async (t, feature, port) => {
        const url = `https://localhost:${port}/`
        const flags = curlFlags(files, port)
        // Two requests go over one connection, or else over two: then the second resumes.
        const connections = feature === 'resumed' ? 2 : 1
        const first = connections === 2 ? ['--header', 'Connection: close'] : []
        const client = new PeerProcess(t, path, [...flags, ...first, url, '--next', ...flags, url])
        client.end()
        const { code, stdout, stderr } = await client.ended()
        if (code !== 0) throw new Error(stderr)
        const answers = [...stdout.matchAll(/^resumed +(yes|no)\n[^]*?^client +(\S+)/gm)]
        const [, last] = answers
        if (answers.length !== 2 || (feature !== 'full' && last![2] !== WEB)) throw new Error(stdout)
        return {
          ...curlView(stdout, stderr),
          connections,
          isResumed: stderr.includes('SSL re-using session ID') && last![1] === 'yes',
        }
      },
  },
]
