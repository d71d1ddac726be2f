import { join } from 'node:path'
import { PeerProcess, probe } from '../../support/peers.ts'
import { NO_MLKEM, type FeaturePeer } from '../features.ts'
import { lineFeatures } from '../line-features.ts'
import { LINE_DEADLINE_MS, type LineProgram } from '../line-peer.ts'
import { OPENSSL_GROUPS } from './openssl.ts'

const ASKING = `import ssl, sys
assert ssl.HAS_TLSv1_3 and sys.version_info >= (3, 8)
print('Python', sys.version.split()[0], '(' + ssl.OPENSSL_VERSION + ')')`

export const PYTHON: LineProgram = {
  name: "Python's ssl",
  program: probe('python3', ['-c', ASKING], /^Python (.*)$/m),
  groups: OPENSSL_GROUPS,
  start(t, { path }, { files: { ca }, credential: [, cert, , key] }) {
    const script = join(import.meta.dirname, '../programs/ssl-peer.py')
    return new PeerProcess(t, path, [script, cert, key, ca], { deadlineMs: LINE_DEADLINE_MS })
  },
}

const EARLY = "Python's ssl has no call for 0-RTT"
const UPDATE = "Python's ssl has no call to renew keys"

export const PYTHON_ROWS: readonly FeaturePeer[] = lineFeatures(PYTHON, {
  unsupported: { '0-RTT': EARLY, 'its KeyUpdate': UPDATE, X25519MLKEM768: NO_MLKEM },
})
