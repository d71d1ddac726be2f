import { PeerProcess } from '../support/peers.ts'
import { spiffeIdOfPem, testConnect, testServe } from './matrix.ts'
import { groupFromOpenssl, OPENSSL, OPENSSL_GROUPS, opensslFlags, opensslGroup } from './peers/openssl.ts'

testServe({
  name: 'openssl s_client',
  program: OPENSSL,
  groups: OPENSSL_GROUPS,
  choosesCell: true,
  prepare:
    (_t, files, { path }) =>
    async (t, { suite, group }, port) => {
      const client = new PeerProcess(t, path, [
        ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'localhost'],
        ['-ciphersuites', suite, '-groups', opensslGroup(group), ...opensslFlags(files, files.web)],
      ])
      client.write('said by OpenSSL\n')
      await client.saw(/^said by OpenSSL$/m, 'stdout')
      client.write('Q\n')
      const { stdout } = await client.ended()
      return {
        suite: /Cipher is (\S+)/.exec(stdout)?.[1] ?? 'none',
        group: groupFromOpenssl(/^Server Temp Key: (.+)$/m.exec(stdout)?.[1] ?? 'none'),
        ...identityIn(stdout),
      }
    },
})

testConnect({
  name: 'openssl s_server',
  program: OPENSSL,
  groups: OPENSSL_GROUPS,
  choosesCell: true,
  prepare:
    (_t, files, { path }) =>
    async (t, { suite, group }) => {
      const server = new PeerProcess(t, path, [
        ['s_server', '-accept', '127.0.0.1:0', '-naccept', '1', '-Verify', '4'],
        ['-ciphersuites', suite, '-groups', opensslGroup(group), ...opensslFlags(files, files.catalog)],
      ])
      const [, port] = await server.saw(/^ACCEPT \S+:(\d+)$/m, 'stdout')
      void server.saw(/^question$/m, 'stdout').then(
        () => server.write('answer of OpenSSL\n'),
        () => {},
      )
      return {
        port: Number(port),
        request: 'question\n',
        answer: /^answer of OpenSSL$/m,
        view: async () => {
          const { stdout } = await server.ended()
          return { suite: /^CIPHER is (\S+)$/m.exec(stdout)?.[1] ?? 'none', ...identityIn(stdout) }
        },
      }
    },
})

function identityIn(stdout: string): { identity?: string } {
  const identity = spiffeIdOfPem(stdout)
  return identity === undefined ? {} : { identity }
}
