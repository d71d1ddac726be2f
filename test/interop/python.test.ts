import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { MeshFiles } from '../cmd/tls-files.ts'
import { PeerProcess, probe, type Program } from '../support/peers.ts'
import { LinePeer } from './line-peer.ts'
import { testConnect, testServe } from './matrix.ts'
import { OPENSSL_GROUPS } from './openssl.ts'

const ASKING = `import ssl, sys
assert ssl.HAS_TLSv1_3 and sys.version_info >= (3, 8)
print('Python', sys.version.split()[0], '(' + ssl.OPENSSL_VERSION + ')')`

const PYTHON = {
  name: "Python's ssl",
  program: probe('python3', ['-c', ASKING], /^Python (.*)$/m),
  groups: OPENSSL_GROUPS,
  // Python chooses neither suites nor, as a client, groups.
  choosesCell: false,
}

testServe({
  ...PYTHON,
  prepare: async (t, files, program) => (await start(t, program, files, files.web)).connect,
})

testConnect({
  ...PYTHON,
  prepare: async (t, files, program) => (await start(t, program, files, files.catalog)).serve,
})

function start(
  t: TestContext,
  { path }: Program,
  { ca }: MeshFiles,
  [, cert, , key]: MeshFiles['web'],
): Promise<LinePeer> {
  const script = join(import.meta.dirname, 'ssl-peer.py')
  return LinePeer.start(new PeerProcess(t, path, [script, cert, key, ca], { deadlineMs: 60_000 }))
}
