import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { MeshFiles } from '../cmd/tls-files.ts'
import { PeerProcess, probe, type Program } from '../support/peers.ts'
import { LinePeer } from './line-peer.ts'
import { testConnect, testServe } from './matrix.ts'
import { OPENSSL, OPENSSL_GROUPS } from './openssl.ts'

const PASSWORD = 'changeit'

const JSSE = {
  name: "Java's JSSE",
  program:
    typeof OPENSSL === 'string' ? OPENSSL : probe('java', ['-version'], /version "((?:1[7-9]|[2-9]\d)\S*)"/),
  groups: OPENSSL_GROUPS,
  // Up to Java 19 a connection cannot choose its groups.
  choosesCell: false,
}

testServe({
  ...JSSE,
  prepare: async (t, files, program) => (await start(t, program, files, files.web)).connect,
})

testConnect({
  ...JSSE,
  prepare: async (t, files, program) => (await start(t, program, files, files.catalog)).serve,
})

/** Java reads PKCS#12, which OpenSSL makes from what we have. */
function start(
  t: TestContext,
  { path }: Program,
  { ca, directory }: MeshFiles,
  [, cert, , key]: MeshFiles['web'],
): Promise<LinePeer> {
  const keyStore = join(directory, 'peer.p12')
  execFileSync(
    (OPENSSL as Program).path,
    [
      ['pkcs12', '-export', '-name', 'peer', '-in', cert, '-inkey', key],
      ['-out', keyStore, '-passout', `pass:${PASSWORD}`],
    ].flat(),
  )
  const source = join(import.meta.dirname, 'JssePeer.java')
  // A short life is not worth the better compiler.
  const options = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto']
  const java = new PeerProcess(t, path, [...options, source, keyStore, PASSWORD, ca], { deadlineMs: 60_000 })
  return LinePeer.start(java)
}
