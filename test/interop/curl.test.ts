import assert from 'node:assert/strict'
import { PeerProcess, probe } from '../support/peers.ts'
import { WEB } from '../cmd/tls-files.ts'
import { spiffeIdOfPem, testServe } from './matrix.ts'
import { OPENSSL_GROUPS, opensslGroup } from './peers/openssl.ts'

testServe({
  name: 'curl',
  // Suites and groups can be chosen with curl's OpenSSL backend only; %{certs} came with 7.88.
  program: probe(
    'curl',
    ['--version'],
    /^curl ((?:7\.(?:8[89]|9\d)|[89]\.|\d\d\.).*OpenSSL\/(?:1\.1\.1|[3-9]\.)\S*)/,
  ),
  groups: OPENSSL_GROUPS,
  choosesCell: true,
  http: true,
  prepare:
    (_t, files, { path }) =>
    async (t, { suite, group }, port) => {
      const [, cert, , key] = files.web
      const client = new PeerProcess(t, path, [
        ['--silent', '--show-error', '--fail', '--verbose', '--http1.1', '--tlsv1.3'],
        ['--resolve', `localhost:${port}:127.0.0.1`, '--cacert', files.ca, '--cert', cert, '--key', key],
        ['--tls13-ciphers', suite, '--curves', opensslGroup(group), '--noproxy', '*'],
        ['--write-out', '%{certs}', '--data', 'said by curl', `https://localhost:${port}/`],
      ])
      client.end()
      const { code, stdout, stderr } = await client.ended()
      assert.equal(code, 0, stderr)
      assert.match(stdout, new RegExp(`^client +${WEB}$`, 'm'))
      assert.match(stdout, new RegExp(`^cipher suite +${suite}\ngroup +${group}\n`, 'm'))
      assert.match(stderr, /SSL certificate verify ok/)
      const identity = spiffeIdOfPem(stdout)
      return {
        suite: /SSL connection using TLSv1\.3 \/ (\S+)/.exec(stderr)?.[1] ?? 'none',
        ...(identity === undefined ? {} : { identity }),
      }
    },
})
