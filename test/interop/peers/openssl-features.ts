/** OpenSSL's `s_client` and `s_server` in the matrix of features. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PeerProcess } from '../../support/peers.ts'
import {
  NO_MLKEM,
  type Feature,
  type FeatureClient,
  type FeaturePeer,
  type FeatureServer,
} from '../features.ts'
import { LINE_DEADLINE_MS } from '../line-peer.ts'
import { spiffeIdOfPem } from '../matrix.ts'
import { groupFromOpenssl, OPENSSL, opensslFlags } from './openssl.ts'

const CLIENT: FeatureClient = {
  role: 'client',
  name: 'OpenSSL s_client',
  program: OPENSSL,
  unsupported: { X25519MLKEM768: NO_MLKEM },
  async prepare(_t, files, { path }) {
    const session = join(files.directory, 'openssl.session')
    const early = join(files.directory, 'openssl.early')
    await writeFile(early, 'said early\n')
    const resuming = ['-sess_in', session, '-sess_out', session]
    const flags: Readonly<Partial<Record<Feature, readonly string[]>>> = {
      'client certificate': ['-sess_out', session],
      resumed: resuming,
      '0-RTT': [...resuming, '-early_data', early],
    }
    return async (t, feature, port) => {
      const client = new PeerProcess(t, path, [
        [
          's_client',
          '-connect',
          `127.0.0.1:${port}`,
          '-servername',
          'localhost',
          '-groups',
          'X25519:P-256:P-384',
        ],
        [...opensslFlags(files, files.web), ...(flags[feature] ?? [])],
      ])
      if (feature === '0-RTT') await client.saw(/^said early$/m, 'stdout')
      client.write('one\n')
      await client.saw(/^one$/m, 'stdout')
      if (feature === 'its KeyUpdate') {
        client.write('K\n')
        await client.saw(/KEYUPDATE/, 'stderr')
      }
      client.write('two\n')
      await client.saw(/^two$/m, 'stdout')
      client.write('Q\n')
      const { stdout } = await client.ended()
      const [, kind, suite = 'none'] = /^(New|Reused), TLSv1\.3, Cipher is (\S+)$/m.exec(stdout) ?? []
      const group = /^Server Temp Key: (.+)$/m.exec(stdout)?.[1]
      const earlyData = /^Early data was (accepted|rejected)$/m.exec(stdout)?.[1] as 'accepted' | undefined
      return {
        suite,
        isResumed: kind === 'Reused',
        ...(group === undefined ? {} : { group: groupFromOpenssl(group) }),
        ...(earlyData === undefined ? {} : { earlyData }),
        ...identityIn(stdout),
      }
    }
  },
}

const SERVER: FeatureServer = {
  role: 'server',
  name: 'OpenSSL s_server',
  program: OPENSSL,
  unsupported: { X25519MLKEM768: NO_MLKEM },
  async prepare(t, files, { path }) {
    const start = async (groups: string): Promise<{ server: PeerProcess; port: number }> => {
      const server = new PeerProcess(
        t,
        'stdbuf',
        [
          // Or it would not say in time when a KeyUpdate is sent.
          ['-oL', path, 's_server', '-accept', '127.0.0.1:0', '-verify', '4', '-groups', groups],
          ['-early_data', '-max_early_data', '4096', ...opensslFlags(files, files.catalog)],
        ],
        { deadlineMs: LINE_DEADLINE_MS },
      )
      const [, port] = await server.saw(/^ACCEPT \S+:(\d+)$/m, 'stdout')
      return { server, port: Number(port) }
    }
    const [usual, other] = await Promise.all([start('X25519:P-256'), start('P-256')])
    return (_t, feature) => {
      const { server, port } = feature === 'HelloRetryRequest' ? other : usual
      const before = server.stdout.length
      const exchanges = ['one', 'two'].map((word) => ({
        said: `${word} of ${feature}`,
        back: `${word} back`,
      }))
      void converse(server, exchanges, feature === 'its KeyUpdate').catch(() => {})
      return Promise.resolve({
        port,
        exchanges: exchanges.map(({ said, back }) => ({
          request: `${said}\n`,
          answer: new RegExp(`^${back}$`, 'm'),
        })),
        view: async () => {
          await server.saw(/^DONE$/m, 'stdout', before)
          const said = server.stdout.slice(before)
          return {
            suite: /^CIPHER is (\S+)$/m.exec(said)?.[1] ?? 'none',
            isResumed: /^Reused session-id$/m.test(said),
            ...(/^Early data received:$/m.test(said) ? { earlyData: 'accepted' } : {}),
            ...identityIn(said),
          }
        },
      })
    }
  },
}

/** It takes a KeyUpdate only as the start of what it reads, so that it gets nothing more until it says that it is sent. */
async function converse(
  server: PeerProcess,
  exchanges: readonly { readonly said: string; readonly back: string }[],
  updates: boolean,
): Promise<void> {
  for (const [index, { said, back }] of exchanges.entries()) {
    await server.saw(new RegExp(`^${said}$`, 'm'), 'stdout')
    if (updates && index === 0) {
      server.write('K\n')
      await server.saw(/^SSL_do_handshake -> 1$/m, 'stdout')
    }
    server.write(`${back}\n`)
  }
}

function identityIn(stdout: string): { identity?: string } {
  const identity = spiffeIdOfPem(stdout)
  return identity === undefined ? {} : { identity }
}

export const OPENSSL_ROWS: readonly FeaturePeer[] = [CLIENT, SERVER]
