/** GnuTLS's `gnutls-cli` and `gnutls-serv`. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { GroupName } from '../../../src/crypto/provider.ts'
import type { CipherSuiteName } from '../../../src/tls/registry.ts'
import type { MeshFiles } from '../../cmd/tls-files.ts'
import { freePort, PeerProcess, probe, STDBUF, type Program } from '../../support/peers.ts'
import {
  NO_MLKEM,
  type Feature,
  type FeatureClient,
  type FeaturePeer,
  type FeatureServer,
} from '../features.ts'
import { LINE_DEADLINE_MS } from '../line-peer.ts'
import { spiffeIdOfPem, type Cell, type PeerView } from '../matrix.ts'

/** GnuTLS has TLS 1.3 on by default since 3.6.5. */
const WANTED = /(3\.(?:6\.(?:[5-9]|[1-9]\d)|[7-9]\.\d+|\d\d\.\d+)\S*)/

export const GNUTLS_CLI: Program | string = probe('gnutls-cli', ['--version'], WANTED)

export const GNUTLS_SERV: Program | string =
  typeof STDBUF === 'string' ? STDBUF : probe('gnutls-serv', ['--version'], WANTED)

export const GNUTLS_GROUPS: readonly GroupName[] = ['x25519', 'secp256r1', 'secp384r1']

const CIPHERS: Readonly<Record<CipherSuiteName, string>> = {
  TLS_AES_128_GCM_SHA256: 'AES-128-GCM',
  TLS_AES_256_GCM_SHA384: 'AES-256-GCM',
  TLS_CHACHA20_POLY1305_SHA256: 'CHACHA20-POLY1305',
}

/** GnuTLS's way of saying "TLS 1.3 with this and nothing else". */
export function priorityOf({ suite, group }: Cell): string {
  return [
    ['NORMAL', '-VERS-ALL', '+VERS-TLS1.3', '-CIPHER-ALL', `+${CIPHERS[suite]}`],
    ['-GROUP-ALL', `+GROUP-${group.toUpperCase()}`],
  ]
    .flat()
    .join(':')
}

/** Of the last connection in what it printed. */
export function viewIn(stdout: string): PeerView {
  const [, agreed, cipher] =
    [...stdout.matchAll(/^- Description: \(TLS1\.3-X\.509\)-(.*)-\(([^)]+)\)$/gm)].at(-1) ?? []
  const suite = Object.entries(CIPHERS).find(([, name]) => name === cipher)?.[0] ?? `none: ${cipher}`
  const group = /^\(ECDHE-([^)]+)\)/.exec(agreed ?? '')?.[1]?.toLowerCase()
  const identity = /^- Status: The certificate is trusted/m.test(stdout) ? spiffeIdOfPem(stdout) : undefined
  return {
    suite,
    isResumed: /^\*\*\* This is a resumed session$/m.test(stdout),
    ...(group === undefined ? {} : { group }),
    ...(identity === undefined ? {} : { identity }),
  }
}

export function gnutlsCredential([, cert, , key]: MeshFiles['web'], { ca }: MeshFiles): string[] {
  return ['--x509cafile', ca, '--x509certfile', cert, '--x509keyfile', key]
}

const CLIENT: FeatureClient = {
  role: 'client',
  name: 'gnutls-cli',
  program: GNUTLS_CLI,
  unsupported: { X25519MLKEM768: NO_MLKEM },
  async prepare(_t, files, { path }) {
    const early = join(files.directory, 'gnutls.early')
    await writeFile(early, 'said early\n')
    // It connects twice, and resumes the second time.
    const resuming = ['--resume', '--waitresumption']
    const flags: Readonly<Partial<Record<Feature, readonly string[]>>> = {
      resumed: resuming,
      '0-RTT': [...resuming, `--earlydata=${early}`],
      'its KeyUpdate': ['--inline-commands'],
    }
    return async (t, feature, port) => {
      const client = new PeerProcess(t, path, [
        [...gnutlsCredential(files.web, files), '--print-cert', ...(flags[feature] ?? [])],
        ['--port', String(port), 'localhost'],
      ])
      if (feature === '0-RTT') await client.saw(/^said early$/m, 'stdout')
      client.write('one\n')
      await client.saw(/^one$/m, 'stdout')
      if (feature === 'its KeyUpdate') client.write('^rekey^\n')
      client.write('two\n')
      await client.saw(/^two$/m, 'stdout')
      client.end()
      const view = viewIn((await client.ended()).stdout)
      return view.isResumed === true ? { ...view, connections: 2 } : view
    }
  },
}

const SERVER: FeatureServer = {
  role: 'server',
  name: 'gnutls-serv',
  program: GNUTLS_SERV,
  unsupported: { 'its KeyUpdate': 'gnutls-serv has no command to renew keys', X25519MLKEM768: NO_MLKEM },
  async prepare(t, files, { path }) {
    const start = async (group: string): Promise<{ server: PeerProcess; port: number }> => {
      const port = await freePort()
      // By itself it says nothing into a pipe until it ends.
      const server = new PeerProcess(
        t,
        'stdbuf',
        [
          ['-oL', path],
          [
            '--echo',
            '--port',
            String(port),
            ...gnutlsCredential(files.catalog, files),
            '--verify-client-cert',
          ],
          [
            '--earlydata',
            '--maxearlydata=4096',
            '--priority',
            `NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:${group}`,
          ],
        ],
        { deadlineMs: LINE_DEADLINE_MS },
      )
      await server.saw(/listening on IPv4 \S+ port \d+\.\.\.done/)
      return { server, port }
    }
    const [usual, other] = await Promise.all([
      start('+GROUP-X25519:+GROUP-SECP256R1'),
      start('+GROUP-SECP256R1'),
    ])
    return (_t, feature) => {
      const { server, port } = feature === 'HelloRetryRequest' ? other : usual
      const before = server.stdout.length
      const last = `two of ${feature}`
      return Promise.resolve({
        port,
        exchanges: [
          // What comes early it reads and keeps to itself.
          { request: 'one\n', ...(feature === '0-RTT' ? {} : { answer: /^one$/m }) },
          { request: `${last}\n`, answer: new RegExp(`^${last}$`, 'm') },
        ],
        view: async () => {
          await server.saw(/^ - 'tls-exporter': .+$/m, 'stdout', before)
          return viewIn(server.stdout.slice(before))
        },
      })
    }
  },
}

export const GNUTLS_ROWS: readonly FeaturePeer[] = [CLIENT, SERVER]
