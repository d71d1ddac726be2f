import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { PeerProcess, probe } from '../../support/peers.ts'
import { NO_MLKEM, type FeaturePeer } from '../features.ts'
import { lineFeatures } from '../line-features.ts'
import { LINE_DEADLINE_MS, type LineProgram } from '../line-peer.ts'
import { OPENSSL_GROUPS } from './openssl.ts'

const SOURCE = join(import.meta.dirname, '../programs/wolfssl-peer.c')

/** The compiler says whether it finds the library. */
const ASKING = ['-E', '-dM', '-x', 'c', '-include', 'wolfssl/version.h', '/dev/null']

export const WOLFSSL: LineProgram = {
  name: 'wolfSSL',
  program: probe('gcc', ASKING, /LIBWOLFSSL_VERSION_STRING "([5-9]\.[^"]+)"/),
  groups: OPENSSL_GROUPS,
  start(t, { path }, { files: { ca, directory }, credential: [, cert, , key] }) {
    const peer = join(directory, 'wolfssl-peer')
    execFileSync(path, [
      '-O1',
      '-D_GNU_SOURCE',
      '-Wall',
      '-Werror',
      '-o',
      peer,
      SOURCE,
      '-lwolfssl',
      '-pthread',
    ])
    return new PeerProcess(t, peer, [cert, key, ca], { deadlineMs: LINE_DEADLINE_MS })
  },
}

const EARLY = "Debian's wolfSSL is built without 0-RTT"

export const WOLFSSL_ROWS: readonly FeaturePeer[] = lineFeatures(WOLFSSL, {
  unsupported: { '0-RTT': EARLY, X25519MLKEM768: NO_MLKEM },
})
