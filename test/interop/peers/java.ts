import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { PeerProcess, probe, type Program } from '../../support/peers.ts'
import { NO_MLKEM, type FeaturePeer } from '../features.ts'
import { lineFeatures } from '../line-features.ts'
import { LINE_DEADLINE_MS, type LineProgram, type LineSetting } from '../line-peer.ts'
import { OPENSSL, OPENSSL_GROUPS, writePkcs12 } from './openssl.ts'

const PASSWORD = 'changeit'

export const JAVA: LineProgram = {
  name: "Java's JSSE",
  program:
    typeof OPENSSL === 'string' ? OPENSSL : probe('java', ['-version'], /version "((?:1[7-9]|[2-9]\d)\S*)"/),
  groups: OPENSSL_GROUPS,
  start: (t, program, setting) => start(t, program, setting, []),
}

const EARLY = 'JSSE has no 0-RTT'

// Up to Java 19 a connection cannot choose its groups, the whole machine can: with these a client sends one share.
export const JAVA_ROWS: readonly FeaturePeer[] = lineFeatures(
  {
    ...JAVA,
    start: (t, program, setting) => start(t, program, setting, ['-Djdk.tls.namedGroups=secp256r1,secp384r1']),
  },
  {
    unsupported: { '0-RTT': EARLY, X25519MLKEM768: NO_MLKEM },
    // Our usual shares are of groups that it does not take now.
    groups: (feature) => (feature === 'HelloRetryRequest' ? undefined : 'secp256r1'),
  },
)

function start(
  t: TestContext,
  { path }: Program,
  { files: { ca, directory }, credential }: LineSetting,
  properties: readonly string[],
): PeerProcess {
  // Java reads PKCS#12, which OpenSSL makes from what we have.
  const keyStore = join(directory, 'peer.p12')
  writePkcs12(credential, { path: keyStore, name: 'peer', password: PASSWORD })
  const source = join(import.meta.dirname, '../programs/JssePeer.java')
  // A short life is not worth the better compiler.
  const options = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', ...properties]
  return new PeerProcess(t, path, [...options, source, keyStore, PASSWORD, ca], {
    deadlineMs: LINE_DEADLINE_MS,
  })
}
