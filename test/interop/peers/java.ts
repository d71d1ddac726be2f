import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { PeerProcess, probe, type Program } from '../../support/peers.ts'
import type { LineProgram } from '../line-peer.ts'
import { OPENSSL, OPENSSL_GROUPS } from './openssl.ts'

const PASSWORD = 'changeit'

export const JAVA: LineProgram = {
  name: "Java's JSSE",
  program:
    typeof OPENSSL === 'string' ? OPENSSL : probe('java', ['-version'], /version "((?:1[7-9]|[2-9]\d)\S*)"/),
  groups: OPENSSL_GROUPS,
  start(t, { path }, { files: { ca, directory }, credential: [, cert, , key] }) {
    // Java reads PKCS#12, which OpenSSL makes from what we have.
    const keyStore = join(directory, 'peer.p12')
    execFileSync(
      (OPENSSL as Program).path,
      [
        ['pkcs12', '-export', '-name', 'peer', '-in', cert, '-inkey', key],
        ['-out', keyStore, '-passout', `pass:${PASSWORD}`],
      ].flat(),
    )
    const source = join(import.meta.dirname, '../programs/JssePeer.java')
    // A short life is not worth the better compiler.
    const options = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto']
    return new PeerProcess(t, path, [...options, source, keyStore, PASSWORD, ca], { deadlineMs: 60_000 })
  },
}
