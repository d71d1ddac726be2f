/** The SPIFFE Workload API as py-spiffe, a library of other makers, sees it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { DOMAIN, line, startMesh } from '../cmd/mesh.ts'
import { PeerProcess, probe } from '../support/peers.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const PACKAGE = 'spiffe==0.3.2'
const PROGRAM = join(import.meta.dirname, 'programs/py-spiffe.py')
const PYTHON = probe('python3', ['--version'], /Python (3\.(?:1\d|[2-9]\d)\S*)/)

/** A package index that is there has sent some tens of megabytes by then. */
const INSTALL_DEADLINE_MS = 90_000

/** A Python that has the library, of its own; or why there is none. */
async function pythonWithLibrary(t: TestContext, python: string): Promise<{ path: string } | string> {
  const directory = await temporaryDirectory(t)
  const options = { encoding: 'utf8', timeout: INSTALL_DEADLINE_MS } as const
  const made = spawnSync(python, ['-m', 'venv', directory], options)
  if (made.status !== 0) return `Python makes no environment: ${made.stdout.slice(0, 200)}`
  const path = join(directory, 'bin', 'python')
  const installed = spawnSync(
    path,
    ['-m', 'pip', 'install', '--quiet', '--only-binary=:all:', PACKAGE],
    options,
  )
  return installed.status === 0 ? { path } : `${PACKAGE} cannot be had: ${installed.stderr.slice(0, 200)}`
}

test('py-spiffe gets X.509-SVIDs and JWT-SVIDs from the Workload API, and has tokens judged', async (t) => {
  if (typeof PYTHON === 'string') return t.skip(PYTHON)
  const python = await pythonWithLibrary(t, PYTHON.path)
  if (typeof python === 'string') return t.skip(python)
  const mesh = await startMesh(t)
  const socket = join(mesh.directory, 'api', 'socket')
  const sidecar = await mesh.sidecar(
    'web',
    `  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:8080, protocol: tcp }]
  workloadApi: { socket: ${socket} }`,
  )
  await line(sidecar, 'ready')
  const program = new PeerProcess(t, python.path, [PROGRAM, DOMAIN], {
    env: { SPIFFE_ENDPOINT_SOCKET: `unix://${socket}` },
  })
  const { code, stdout, stderr } = await program.ended()
  assert.equal(code, 0, stderr)
  const id = `spiffe://${DOMAIN}/ns/shop/sa/web`
  const said = stdout.trimEnd().split('\n')
  assert.deepEqual(
    [...said.slice(0, 3), said[4]],
    [`x509 ${id} chain 2 anchors 1`, `jwt ${id} keys 1`, `accepted ${id}`, `source ${id}`],
  )
  assert.match(said[3]!, /^refused .*TOKEN_AUDIENCE/)
})
