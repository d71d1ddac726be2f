import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { httpApp } from '../support/apps.ts'
import { fetchFrom } from '../support/proxy-world.ts'
import { jwksOf, signToken, tokenSigner } from '../support/tokens.ts'
import { DOMAIN, line, listenerOf, startMesh } from './mesh.ts'

test('handfast controller hands the keys of a token issuer to proxies, which judge requests by the tokens that those have signed', async (t) => {
  const app = await httpApp(t, (_incoming, response) => response.end('ok'))
  const mesh = await startMesh(t)
  const keys = join(mesh.directory, 'keys.json')
  const signer = tokenSigner('ES256', 'one')
  await writeFile(
    join(mesh.directory, 'policy.yaml'),
    `apiVersion: handfast.dev/v1alpha1
kind: RequestAuthentication
metadata: { name: tokens, namespace: shop }
spec: { jwtRules: [{ issuer: "https://issuer.example", jwksFile: "${keys}" }] }
---
apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: catalog, namespace: shop }
spec: { action: ALLOW, rules: [{ from: [{ requestPrincipals: ["https://issuer.example/alice"] }] }] }
`,
  )
  const catalog = await mesh.sidecar(
    'catalog',
    `  inbound: [{ name: catalog, listen: 127.0.0.1:0, forward: 127.0.0.1:${app.address.port}, protocol: http }]`,
  )
  const gate = listenerOf(await line(catalog, 'ready'), 'catalog')
  const web = await mesh.sidecar(
    'web',
    `  outbound:
    - { name: out, listen: 127.0.0.1:0, connect: 127.0.0.1:${gate.port}, peer: "spiffe://${DOMAIN}/ns/shop/sa/catalog", protocol: http }`,
  )
  const entry = listenerOf(await line(web, 'ready'), 'out')
  const exp = Math.floor(Date.now() / 1000) + 300
  const token = signToken(signer, { iss: 'https://issuer.example', sub: 'alice', exp })
  const status = async (): Promise<number> =>
    (await fetchFrom(entry, { headers: { authorization: `Bearer ${token}` } })).status
  const becomes = async (wanted: number): Promise<void> => {
    for (const givenUpAt = Date.now() + 60_000; (await status()) !== wanted; await pause(50))
      assert.ok(Date.now() < givenUpAt, `The answer is not ${wanted}`)
  }

  await becomes(401)
  assert.match(
    (await line(mesh.cli, 'The keys of a token issuer cannot be had; its tokens are refused'))[
      'source'
    ] as string,
    /keys\.json$/,
  )
  await writeFile(keys, jwksOf(signer))
  await becomes(200)
  assert.equal((await fetchFrom(entry, {})).status, 403)
})
