/** Istio's certificate API as a client generated from Istio's own definition sees it, over Go's TLS. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { PeerProcess } from '../support/peers.ts'
import { startController } from '../support/controller-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { jwksOf, signToken, tokenSigner } from '../support/tokens.ts'
import { goModule } from './go-module.ts'

const { skip, build } = goModule('istio-ca')

test(
  "a client of Istio's own making gets a certificate for whom its token proves, and none for a stranger's",
  { skip },
  async (t) => {
    const directory = await temporaryDirectory(t)
    const [config, stateDir, keys] = ['controller.yaml', 'state', 'keys.json'].map((name) =>
      join(directory, name),
    )
    const [signer, stranger] = [tokenSigner('RS256', 'one'), tokenSigner('RS256', 'one')]
    await writeFile(keys!, jwksOf(signer))
    await writeFile(
      config!,
      `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: cluster.local
  listen: 127.0.0.1:0
  stateDir: ${stateDir}
  istioCa: {}
  attestation:
    oidc: [{ issuer: "https://cluster", audience: handfast, jwksFile: ${keys}, spiffeId: "spiffe://cluster.local/ns/shop/sa/{sub}" }]
`,
    )
    const program = await build(t)
    const { address } = await startController(t, '--config', config!)
    const claims = {
      iss: 'https://cluster',
      aud: ['istio-ca'],
      sub: 'web',
      exp: Math.floor(Date.now() / 1000) + 300,
    }
    const ask = (token: string): PeerProcess =>
      new PeerProcess(t, program, [address, join(stateDir!, 'trust-bundle.pem'), token])
    await ask(signToken(signer, claims)).saw(/^issued spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web true 3$/m)
    await ask(signToken(stranger, claims)).saw(/^failed .*code = Unauthenticated/m)
  },
)
