import assert from 'node:assert/strict'
import test from 'node:test'
import { freePort, PeerProcess } from '../support/peers.ts'
import { meshFiles } from '../cmd/tls-files.ts'
import { testConnect, testServe } from './matrix.ts'
import {
  GNUTLS_CLI,
  GNUTLS_GROUPS,
  GNUTLS_SERV,
  gnutlsCredential,
  priorityOf,
  viewIn,
} from './peers/gnutls.ts'
import { messagesOf, reportIn } from './reports.ts'
import { serveOnce } from './tools.ts'

testServe({
  name: 'gnutls-cli',
  program: GNUTLS_CLI,
  groups: GNUTLS_GROUPS,
  choosesCell: true,
  prepare:
    (_t, files, { path }) =>
    async (t, cell, port) => {
      const client = new PeerProcess(t, path, [
        gnutlsCredential(files.web, files),
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
  program: GNUTLS_SERV,
  groups: GNUTLS_GROUPS,
  choosesCell: true,
  prepare:
    (_t, files, { path }) =>
    async (t, cell) => {
      const port = await freePort()
      const server = new PeerProcess(t, path, [
        ['--echo', '--port', String(port), ...gnutlsCredential(files.catalog, files)],
        ['--require-client-cert', '--verify-client-cert'],
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
  { skip: typeof GNUTLS_CLI === 'string' && GNUTLS_CLI },
  async (t) => {
    assert.ok(typeof GNUTLS_CLI !== 'string')
    const files = await meshFiles(t)
    const server = await serveOnce(t, files.catalog)
    const client = new PeerProcess(t, GNUTLS_CLI.path, [
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
