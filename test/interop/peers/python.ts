import { join } from 'node:path'
import { PeerProcess, probe } from '../../support/peers.ts'
import type { LineProgram } from '../line-peer.ts'
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
    return new PeerProcess(t, path, [script, cert, key, ca], { deadlineMs: 60_000 })
  },
}
