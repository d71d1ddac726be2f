import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateService,
} from '../../src/control/gen/istio-ca_pb.ts'
import { methodDefinition } from '../../src/control/grpc-service.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { decodePem, encodePem } from '../../src/pki/pem.ts'
import { bundlesIn, startController } from '../support/controller-process.ts'
import { authenticated, fakeKubernetes, pod } from '../support/fake-kubernetes.ts'
import { readAll } from '../support/journals.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { jwksOf, signToken, tokenSigner } from '../support/tokens.ts'

const crypto = nativeCrypto()
const method = methodDefinition(IstioCertificateService.method.createCertificate)
const csr = encodePem('CERTIFICATE REQUEST', createCsr(crypto.generateKey('ec-p256')))

type Ask = (
  token: string | undefined,
  request?: Partial<IstioCertificateRequest>,
) => Promise<readonly string[]>

/** As Istio's agents connect: TLS by OpenSSL, the server known by its DNS name, no certificate of their own. */
function istioClient(t: TestContext, address: string, roots: Buffer): Ask {
  const client = new Client(address, credentials.createSsl(roots), {
    'grpc.ssl_target_name_override': 'istiod.istio-system.svc',
    'grpc.default_authority': 'istiod.istio-system.svc',
  })
  t.after(() => client.close())
  return (token, request = {}) => {
    const metadata = new Metadata()
    metadata.set('clusterid', 'Kubernetes')
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        create(IstioCertificateRequestSchema, { csr, validityDuration: 600n, ...request }),
        metadata,
        { deadline: Date.now() + 20_000 },
        (error: ServiceError | null, answer?: IstioCertificateResponse) =>
          error === null ? resolve(answer!.certChain) : reject(error),
      )
    })
  }
}

test("a client of Istio's certificate API gets a certificate for whom its token proves, and for nobody else", async (t) => {
  const directory = await temporaryDirectory(t)
  const [config, stateDir, keys] = ['controller.yaml', 'state', 'keys.json'].map((name) =>
    join(directory, name),
  )
  const kubernetes = await fakeKubernetes(t)
  kubernetes.pods.set('shop/web-1', pod('uid-1', 'web', 'node-1'))
  const signer = tokenSigner('ES256', 'one')
  await writeFile(keys!, jwksOf(signer))
  await writeFile(
    config!,
    `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: example.org
  listen: 127.0.0.1:0
  stateDir: ${stateDir}
  maxSvidTtl: 2h
  istioCa: {}
  attestation:
    kubernetes: { apiServer: "${kubernetes.server}", caFile: ${kubernetes.caFile}, tokenFile: ${kubernetes.tokenFile} }
    oidc:
      - { issuer: "https://ci.example", audience: handfast, jwksFile: ${keys}, spiffeId: "spiffe://example.org/ci/{sub}" }
`,
  )
  const running = await startController(t, '--config', config!)
  const roots = await readFile(join(stateDir!, 'trust-bundle.pem'))
  const ask = istioClient(t, running.address, roots)
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'https://ci.example', aud: ['istio-ca'], sub: 'build-7', exp: now + 300 }

  // Of a service account: whatever its issuer is, the API judges it.
  const serviceAccount = signToken(tokenSigner('RS256', 'cluster'), {
    iss: 'https://cluster.local',
    aud: ['istio-ca'],
  })
  kubernetes.reviews.set(
    serviceAccount,
    authenticated('shop/web', { 'pod-name': 'web-1', 'pod-uid': 'uid-1' }, ['istio-ca']),
  )
  const chain = await ask(serviceAccount)
  assert.equal(chain.at(-1), roots.toString())
  const certificates = chain
    .slice(0, -1)
    .flatMap((pem) => decodePem(pem, 'CERTIFICATE').map(parseCertificate))
  const verifier = svidVerifier({
    bundles: await bundlesIn(stateDir!).then((bundles) => () => bundles),
    crypto,
  })
  const { name } = verifier.verify(certificates, { peerRole: 'client', nowMs: Date.now() })
  assert.equal(name, 'spiffe://example.org/ns/shop/sa/web')
  assert.ok(certificates[0]!.notAfterMs <= Date.now() + 600_000)

  const [leaf] = await ask(signToken(signer, claims), { validityDuration: 86_400n })
  const [certificate] = decodePem(leaf!, 'CERTIFICATE').map(parseCertificate)
  assert.deepEqual(certificate!.subjectAltNames.uris, ['spiffe://example.org/ci/build-7'])
  const livesMs = certificate!.notAfterMs - Date.now()
  assert.ok(livesMs > 3_600_000 && livesMs <= 7_200_000)

  const refused = async (code: string, wanted: status, asking: Promise<unknown>): Promise<void> => {
    const error = await asking.then(
      () => assert.fail(code),
      (thrown: unknown) => thrown as ServiceError,
    )
    assert.deepEqual([error.metadata.get('handfast-code'), error.code], [[code], wanted])
  }
  await refused('CA_NO_EVIDENCE', status.UNAUTHENTICATED, ask(undefined))
  await refused('CA_TOKEN_MALFORMED', status.UNAUTHENTICATED, ask('no token'))
  await refused('CA_TOKEN_MALFORMED', status.UNAUTHENTICATED, ask('no.token'))
  // Good elsewhere, and therefore not here.
  const elsewhere = signToken(signer, { ...claims, aud: ['handfast'] })
  await refused('CA_TOKEN_AUDIENCE', status.UNAUTHENTICATED, ask(elsewhere))
  await refused(
    'CA_TOKEN_EXPIRED',
    status.UNAUTHENTICATED,
    ask(signToken(signer, { ...claims, exp: now - 300 })),
  )
  await refused('CA_CSR_INVALID', status.INVALID_ARGUMENT, ask(signToken(signer, claims), { csr: 'no PEM' }))
  await refused('CA_CSR_INVALID', status.INVALID_ARGUMENT, ask(signToken(signer, claims), { csr: csr + csr }))

  assert.equal(await running.stop(), 0)
  const { entries } = await readAll(join(stateDir!, 'journal'))
  assert.deepEqual(
    entries.slice(2).map(({ code, proof }) => code ?? proof),
    [
      'istio kubernetes:shop/web-1 uid-1',
      'istio oidc:https://ci.example "build-7"',
      'CA_NO_EVIDENCE',
      'CA_TOKEN_MALFORMED',
      'CA_TOKEN_MALFORMED',
      'CA_TOKEN_AUDIENCE',
      'CA_TOKEN_EXPIRED',
      'CA_CSR_INVALID',
      'CA_CSR_INVALID',
    ],
  )
})
