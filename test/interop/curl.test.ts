import assert from 'node:assert/strict'
import { PeerProcess } from '../support/peers.ts'
import { WEB } from '../cmd/tls-files.ts'
import { testServe } from './matrix.ts'
import { CURL, curlFlags, curlView } from './peers/curl.ts'
import { OPENSSL_GROUPS, opensslGroup } from './peers/openssl.ts'

testServe({
  name: 'curl',
  program: CURL,
  groups: OPENSSL_GROUPS,
  choosesCell: true,
  http: true,
  prepare:
    (_t, files, { path }) =>
    async (t, { suite, group }, port) => {
      const client = new PeerProcess(t, path, [
        curlFlags(files, port),
        ['--tls13-ciphers', suite, '--curves', opensslGroup(group)],
        ['--data', 'said by curl', `https://localhost:${port}/`],
      ])
      client.end()
      const { code, stdout, stderr } = await client.ended()
      assert.equal(code, 0, stderr)
      assert.match(stdout, new RegExp(`^client +${WEB}$`, 'm'))
      assert.match(stdout, new RegExp(`^cipher suite +${suite}\ngroup +${group}\n`, 'm'))
      assert.match(stderr, /SSL certificate verify ok/)
      return curlView(stdout, stderr)
    },
})
