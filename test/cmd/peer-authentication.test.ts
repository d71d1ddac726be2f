import assert from 'node:assert/strict'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { line, startMesh } from './mesh.ts'

test('proxy refuses a mode that it cannot put in force, stays with the policy before, and says so to the controller', async (t) => {
  const mesh = await startMesh(t)
  const listeners = '  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:9, protocol: tcp }]'
  const catalog = await mesh.sidecar('catalog', listeners)
  const before = await line(catalog, 'State applied')
  const file = join(mesh.directory, 'policy.yaml')
  const good = await readFile(file, 'utf8')
  await appendFile(
    file,
    `---
apiVersion: handfast.dev/v1alpha1
kind: PeerAuthentication
metadata: { name: all, namespace: shop }
spec: { mtls: { mode: PERMISSIVE } }
`,
  )
  const refused = await line(catalog, 'State refused; the one before stays in force')
  assert.match(
    JSON.stringify(refused),
    /AUTHZ_MODE_NOT_AVAILABLE.*PeerAuthentication shop\/all sets PERMISSIVE/,
  )
  assert.match(
    JSON.stringify(await line(mesh.cli, 'A policy may not say what is meant')),
    /spec\.mtls\.mode: expected STRICT/,
  )
  await mesh.cli.saw(/AUTHZ_MODE_NOT_AVAILABLE|sets PERMISSIVE/, 'stdout')

  await writeFile(file, good.replace('metadata: { name: catalog', 'metadata: { name: readers'))
  await catalog.saw(/State applied[^]*State refused[^]*State applied/, 'stdout')
  assert.ok(Number(refused['number']) > Number(before['number']))
})
