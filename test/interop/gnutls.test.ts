import assert from 'node:assert/strict'
import test from 'node:test'
import type { GroupName } from '../../src/crypto/provider.ts'
import type { CipherSuiteName } from '../../src/tls/registry.ts'
import { freePort, PeerProcess, probe } from '../support/peers.ts'
import { meshFiles } from '../cmd/tls-files.ts'
import { spiffeIdOfPem, testConnect, testServe, type Cell, type PeerView } from './matrix.ts'
import { messagesOf, reportIn } from './reports.ts'
import { serveOnce } from './tools.ts'

/** GnuTLS has TLS 1.3 on by default since 3.6.5. */
const WANTED = /(3\.(?:6\.(?:[5-9]|[1-9]\d)|[7-9]\.\d+|\d\d\.\d+)\S*)/

const CLIENT = probe('gnutls-cli', ['--version'], WANTED)

const GROUPS: readonly GroupName[] = ['x25519', 'secp256r1', 'secp384r1']

const CIPHERS: Readonly<Record<CipherSuiteName, string>> = {
  TLS_AES_128_GCM_SHA256: 'AES-128-GCM',
  TLS_AES_256_GCM_SHA384: 'AES-256-GCM',
  TLS_CHACHA20_POLY1305_SHA256: 'CHACHA20-POLY1305',
}

testServe({
  name: 'gnutls-cli',
  program: CLIENT,
  groups: GROUPS,
  choosesCell: true,
  prepare:
    (_t, files, { path }) =>
    async (t, cell, port) => {
      const [, cert, , key] = files.web
      const client = new PeerProcess(t, path, [
        ['--x509cafile', files.ca, '--x509certfile', cert, '--x509keyfile', key],
        ['--priority', priorityOf(cell), '--print-cert', '--port', String(port), 'localhost'],
      ])
      client.write('said by GnuTLS\n')
      await client.saw(/^said by GnuTLS$/m, 'stdout')
      client.end()
      return viewIn((await client.ended()).stdout)
    },
})

testConnect({
  name: 'gnutls-serv',
  program: probe('gnutls-serv', ['--version'], WANTED),
  groups: GROUPS,
  choosesCell: true,
  prepare:
    (_t, files, { path }) =>
    async (t, cell) => {
      const [, cert, , key] = files.catalog
      const port = await freePort()
      const server = new PeerProcess(t, path, [
        ['--echo', '--port', String(port), '--x509certfile', cert, '--x509keyfile', key],
        ['--x509cafile', files.ca, '--require-client-cert', '--verify-client-cert'],
        ['--priority', priorityOf(cell)],
      ])
      await server.saw(/listening on IPv4 \S+ port \d+\.\.\.done/)
      return {
        port,
        request: 'said to GnuTLS\n',
        answer: /^said to GnuTLS$/m,
        view: async () => {
          const { stdout } = await server.stop()
          return viewIn(stdout)
        },
      }
    },
})

test(
  'tls serve follows the KeyUpdates of gnutls-cli',
  { skip: typeof CLIENT === 'string' && CLIENT },
  async (t) => {
    assert.ok(typeof CLIENT !== 'string')
    const files = await meshFiles(t)
    const server = await serveOnce(t, files.catalog)
    const client = new PeerProcess(t, CLIENT.path, [
      ['--x509cafile', files.ca, '--inline-commands', '--port', String(server.port), 'localhost'],
    ])
    for (const word of ['one', 'two', 'three']) {
      client.write(`${word}\n`)
      await client.saw(new RegExp(`^${word}$`, 'm'), 'stdout')
      if (word !== 'three') client.write('^rekey^\n')
    }
    client.end()
    assert.equal((await client.ended()).code, 0)
    const { code, stdout } = await server.process.ended()
    assert.equal(code, 0)
    const updates = messagesOf(reportIn(stdout)).filter((message) => message === 'client KeyUpdate')
    assert.equal(updates.length, 2)
  },
)

/** GnuTLS's way of saying "TLS 1.3 with this and nothing else". */
function priorityOf({ suite, group }: Cell): string {
  return [
    ['NORMAL', '-VERS-ALL', '+VERS-TLS1.3', '-CIPHER-ALL', `+${CIPHERS[suite]}`],
    ['-GROUP-ALL', `+GROUP-${group.toUpperCase()}`],
  ]
    .flat()
    .join(':')
}

function viewIn(stdout: string): PeerView {
  const [, group = 'none', cipher] =
    /^- Description: \(TLS1\.3-X\.509\)-\(ECDHE-([^)]+)\)-\([^)]+\)-\(([^)]+)\)$/m.exec(stdout) ?? []
  const suite = Object.entries(CIPHERS).find(([, name]) => name === cipher)?.[0] ?? `none: ${cipher}`
  const identity = /^- Status: The certificate is trusted/m.test(stdout) ? spiffeIdOfPem(stdout) : undefined
  return { suite, group: group.toLowerCase(), ...(identity === undefined ? {} : { identity }) }
}
