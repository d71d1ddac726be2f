import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { ControlError } from '../../src/control/errors.ts'
import { anyCsr, clientOf } from '../support/control-plane.ts'
import { bundlesIn, startController } from '../support/controller-process.ts'
import { authenticated, fakeKubernetes, pod } from '../support/fake-kubernetes.ts'
import { readAll } from '../support/journals.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { jwksOf, signToken, tokenSigner } from '../support/tokens.ts'

test('handfast controller takes the tokens that its configuration speaks of, and records what it refuses', async (t) => {
  const directory = await temporaryDirectory(t)
  const [config, stateDir, keys] = ['controller.yaml', 'state', 'keys.json'].map((name) =>
    join(directory, name),
  )
  const kubernetes = await fakeKubernetes(t)
  kubernetes.pods.set('shop/web-1', pod('uid-1', 'web', 'node-1'))
  kubernetes.reviews.set(
    'a service account',
    authenticated('shop/web', { 'pod-name': 'web-1', 'pod-uid': 'uid-1' }),
  )
  const signer = tokenSigner('EdDSA', 'one')
  await writeFile(keys!, jwksOf(signer))
  await writeFile(
    config!,
    `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: example.org
  listen: 127.0.0.1:0
  stateDir: ${stateDir}
  attestation:
    kubernetes:
      apiServer: ${kubernetes.server}
      caFile: ${kubernetes.caFile}
      tokenFile: ${kubernetes.tokenFile}
    oidc:
      - issuer: https://ci.example
        audience: handfast
        jwksFile: ${keys}
        algorithms: [EdDSA]
        spiffeId: spiffe://example.org/ci/{sub}
  limits:
    certificatesPerIdentity: { atOnce: 2, perMinute: 1 }
`,
  )
  const running = await startController(t, '--config', config!)
  const client = clientOf({ address: running.address, bundles: await bundlesIn(stateDir!) })
  const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds
  const token = (claims = {}): string =>
    signToken(signer, {
      iss: 'https://ci.example',
      aud: 'handfast',
      sub: 'build-7',
      exp: inSeconds(300),
      ...claims,
    })
  const nameOf = async (request: Parameters<typeof client.issueSvid>[0]): Promise<string | undefined> =>
    (await client.issueSvid(request)).chain[0]!.subjectAltNames.uris[0]
  const refused = async (request: Parameters<typeof client.issueSvid>[0], code: string): Promise<void> =>
    assert.rejects(
      client.issueSvid(request),
      (error) => error instanceof ControlError && error.refusal === code,
      code,
    )

  const csr = anyCsr()
  assert.equal(await nameOf({ csr, oidcToken: token() }), 'spiffe://example.org/ci/build-7')
  assert.equal(
    await nameOf({ csr, serviceAccountToken: 'a service account' }),
    'spiffe://example.org/ns/shop/sa/web',
  )
  await refused({ csr, oidcToken: token({ aud: 'another' }) }, 'CA_TOKEN_AUDIENCE')
  await refused({ csr, oidcToken: token({ exp: inSeconds(-300) }) }, 'CA_TOKEN_EXPIRED')
  await refused({ csr, serviceAccountToken: 'another' }, 'CA_TOKEN_MALFORMED')
  kubernetes.pods.clear()
  await refused({ csr, serviceAccountToken: 'a service account' }, 'CA_POD_GONE')
  await client.issueSvid({ csr, oidcToken: token() })
  await refused({ csr, oidcToken: token() }, 'CA_RATE_LIMITED')

  assert.equal(await running.stop(), 0)
  const { entries, end } = await readAll(join(stateDir!, 'journal'))
  assert.equal(end.kind, 'intact')
  assert.deepEqual(
    entries.slice(1).map(({ kind, code, spiffeId }) => code ?? `${String(kind)} ${String(spiffeId)}`),
    [
      'issued spiffe://example.org/ns/handfast-system/sa/controller',
      'issued spiffe://example.org/ci/build-7',
      'issued spiffe://example.org/ns/shop/sa/web',
      'CA_TOKEN_AUDIENCE',
      'CA_TOKEN_EXPIRED',
      'CA_TOKEN_MALFORMED',
      'CA_POD_GONE',
      'issued spiffe://example.org/ci/build-7',
      'CA_RATE_LIMITED',
    ],
  )
})
