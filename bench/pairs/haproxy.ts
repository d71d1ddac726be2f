import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, Program, which } from '../support/program.ts'
import { writeCredentials } from './credentials.ts'
import { CATALOG_NAME, KINDS, SUITE, workloadsOf, type Pair, type PairOptions } from './pair.ts'

/** haproxy in mode tcp as two proxies with one thread each; none where it is not installed. */
export async function haproxyPairs(options: PairOptions): Promise<readonly Pair[]> {
  const haproxy = which('haproxy')
  if (haproxy === undefined) return []
  const pairs: Pair[] = []
  for (const { suffix, resumes } of KINDS) {
    const [entry, gate] = [await freePort(), await freePort()]
    const own = join(options.directory, `haproxy-${resumes ? 'resumes' : 'full'}`)
    const { web, catalog } = await writeCredentials(own)
    const files = (of: string): string => `crt ${of}/both.pem ca-file ${of}/ca.pem verify required`
    const start = (name: string, port: number, sides: string): Promise<Program> =>
      startHaproxy(haproxy, join(own, name), { options, port, sides })
    const tickets = resumes ? '' : ' no-tls-tickets'
    const reuse = resumes ? '' : ' no-ssl-reuse'
    const inbound = await start(
      'in',
      gate,
      `  bind 127.0.0.1:${gate} backlog 4096 ssl ${files(catalog)} ssl-min-ver TLSv1.3 curves X25519 ciphersuites ${SUITE}${tickets}
  server app 127.0.0.1:${options.backendPort}`,
    )
    const outbound = await start(
      'out',
      entry,
      `  bind 127.0.0.1:${entry} backlog 4096
  server peer 127.0.0.1:${gate} ssl ${files(web)} verifyhost ${CATALOG_NAME} ssl-min-ver TLSv1.3 ciphersuites ${SUITE}${reuse}`,
    )
    pairs.push({
      name: `haproxy${suffix}`,
      port: entry,
      proxies: [inbound, outbound],
      workloads: workloadsOf(resumes),
    })
  }
  return pairs
}

interface HaproxyParts {
  readonly options: PairOptions
  readonly port: number
  /** Its `bind` and `server` lines. */
  readonly sides: string
}

async function startHaproxy(
  haproxy: string,
  directory: string,
  { options, port, sides }: HaproxyParts,
): Promise<Program> {
  await mkdir(directory, { recursive: true })
  const config = join(directory, 'haproxy.cfg')
  await writeFile(
    config,
    `global
  nbthread 1
  maxconn 9900
  fd-hard-limit 20000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen through
${sides}
`,
  )
  const program = options.programs.use(
    new Program(`haproxy ${directory}`, [haproxy, '-db', '-q', '-f', config]),
  )
  await program.listening(port)
  return program
}
