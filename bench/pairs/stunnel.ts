import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, Program, which } from '../support/program.ts'
import { writeCredentials } from './credentials.ts'
import { CATALOG_NAME, SUITE, workloadsOf, type Pair, type PairOptions } from './pair.ts'

/** stunnel, a thread for each connection, as two proxies that resume; none where it is not installed. */
export async function stunnelPairs(options: PairOptions): Promise<readonly Pair[]> {
  const stunnel = which('stunnel')
  if (stunnel === undefined) return []
  const [entry, gate] = [await freePort(), await freePort()]
  const own = join(options.directory, 'stunnel')
  const { web, catalog } = await writeCredentials(own)
  const start = async (name: string, port: number, service: string): Promise<Program> => {
    const directory = join(own, name)
    await mkdir(directory, { recursive: true })
    const config = join(directory, 'stunnel.conf')
    await writeFile(config, `foreground = yes\npid =\ndebug = err\n[${name}]\n${service}\n`)
    const program = options.programs.use(new Program(`stunnel ${name}`, [stunnel, config]))
    await program.listening(port)
    return program
  }
  const common = (side: string): string => `cert = ${side}/cert.pem
key = ${side}/key.pem
CAfile = ${side}/ca.pem
verifyChain = yes
sslVersion = TLSv1.3
ciphersuites = ${SUITE}
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1`
  const inbound = await start(
    'in',
    gate,
    `accept = 127.0.0.1:${gate}\nconnect = 127.0.0.1:${options.backendPort}\nrequireCert = yes\ncurves = X25519\n${common(catalog)}`,
  )
  const outbound = await start(
    'out',
    entry,
    `client = yes\naccept = 127.0.0.1:${entry}\nconnect = 127.0.0.1:${gate}\ncheckHost = ${CATALOG_NAME}\n${common(web)}`,
  )
  // Ten thousand threads would measure the machine's limits, not stunnel.
  const workloads = workloadsOf(true).filter((name) => name !== 'idle')
  return [{ name: 'stunnel', port: entry, proxies: [inbound, outbound], workloads }]
}
