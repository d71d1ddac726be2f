import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import type { CertificateWitness } from '../../src/ca/certificate-witness.ts'
import { admission } from '../../src/cmd/controller/admission.ts'
import { utf8 } from '../../src/bytes/bytes.ts'
import { formatAddress } from '../../src/config/address.ts'
import { controllerId } from '../../src/config/proxy-config.ts'
import { ControlClient } from '../../src/control/client.ts'
import type { IdentitySource } from '../../src/control/identity-source.ts'
import type { MeshState } from '../../src/control/mesh-state.ts'
import { RenewalQueue } from '../../src/control/renewal-queue.ts'
import { RenewingIdentity } from '../../src/control/renewing-identity.ts'
import type { SecureSocket } from '../../src/control/secure-channel.ts'
import { ControlServer } from '../../src/control/server.ts'
import { SnapshotBoard } from '../../src/control/snapshot-board.ts'
import { systemTimers, type Timers } from '../../src/control/timers.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { SpiffeId } from '../../src/identity/spiffe-id.ts'
import { svidVerifier } from '../../src/identity/svid-verifier.ts'
import type { X509Svid } from '../../src/identity/svid.ts'
import { TrustBundles } from '../../src/identity/trust-bundle.ts'
import { ConnectionDuplex } from '../../src/net/duplex.ts'
import { NodeConnection } from '../../src/net/node-connection.ts'
import { nodeTransport } from '../../src/net/node-transport.ts'
import { secureClient } from '../../src/net/secure-connection.ts'
import type { Connection } from '../../src/net/transport.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { memoryCa, type MemoryCa, TRUST_DOMAIN } from './memory-ca.ts'
import { MemoryLog } from './memory-log.ts'

const crypto = nativeCrypto()

const CONTROLLER: SpiffeId = SpiffeId.parse(controllerId(TRUST_DOMAIN))

/** A controller in this process, behind a real socket and real TLS. */
export interface ControlPlane {
  readonly ca: MemoryCa
  readonly board: SnapshotBoard
  readonly bundles: TrustBundles
  readonly log: MemoryLog
  readonly address: string
  /** A state with these policies. */
  readonly state: (policyRevision: string) => MeshState
  /** A valid SVID for `id`, out of band. */
  readonly svid: (id: SpiffeId) => Promise<X509Svid>
  /** Stops listening and cuts all connections. */
  readonly stop: () => Promise<void>
}

export interface ControlPlaneOptions {
  /** @default the process's own clock */
  readonly timers?: Timers
  /** Who the controller says it is. @default the controller */
  readonly id?: SpiffeId
  /** @default any free one */
  readonly port?: number
  /** Keeps the authority of a plane that was stopped. @default a new one */
  readonly ca?: MemoryCa
  readonly epoch?: string
  /** @default there is none */
  readonly witness?: Pick<CertificateWitness, 'report'>
}

export async function startControlPlane(
  t: TestContext,
  {
    timers = systemTimers,
    id = CONTROLLER,
    port = 0,
    ca: kept,
    epoch = 'first',
    witness,
  }: ControlPlaneOptions = {},
): Promise<ControlPlane> {
  const ca = kept ?? (await memoryCa(Date.now()))
  const bundles = TrustBundles.of(ca.authority.bundle)
  const log = new MemoryLog()
  const svid = (whose: SpiffeId): Promise<X509Svid> => svidOf(whose, ca)
  const state = (policyRevision: string): MeshState => ({
    bundles,
    policies: utf8(`policies of ${policyRevision}`),
    policyRevision,
  })
  const board = new SnapshotBoard({ epoch, state: state('r1') })
  const server = new ControlServer({ issuer: ca.issuer, board, witness, timers, log })
  const accept = admission({ server, identity: fixedIdentity(await svid(id), bundles), crypto, log })
  const connections = new Set<Connection>()
  const listener = await nodeTransport.listen({ host: '127.0.0.1', port }, (connection) => {
    connections.add(connection)
    accept(connection)
  })
  const stop = async (): Promise<void> => {
    await listener.close()
    await server.close()
    for (const connection of connections) connection.abort()
  }
  t.after(stop)
  return { ca, board, bundles, log, address: formatAddress(listener.address), state, svid, stop }
}

/** What a proxy does with its socket to the controller; `credential` is what it shows. */
export function proxySecurity(
  bundles: TrustBundles,
  credential: () => X509Svid | undefined = () => undefined,
): SecureSocket {
  return async (socket: Socket, identified: boolean): Promise<Duplex> => {
    const own = identified ? credential() : undefined
    const secured = await secureClient(
      new NodeConnection(socket),
      {
        crypto,
        nowMs: () => Date.now(),
        alpn: ['h2'],
        verifier: svidVerifier({ bundles: () => bundles, crypto, expected: CONTROLLER }),
        ...(own !== undefined && { credential: own }),
      },
      { deadlineMs: 5_000 },
    )
    return new ConnectionDuplex(secured)
  }
}

/** A client of the plane; without an SVID it stays anonymous. */
export function clientOf(
  { address, bundles }: Pick<ControlPlane, 'address' | 'bundles'>,
  {
    credential,
    timers = systemTimers,
    others = [],
  }: {
    readonly credential?: () => X509Svid | undefined
    readonly timers?: Timers
    /** Further addresses of the controller. */
    readonly others?: readonly string[]
  } = {},
): ControlClient {
  return new ControlClient({
    addresses: [address, ...others],
    secure: proxySecurity(bundles, credential),
    timers,
    random: () => 0,
  })
}

function fixedIdentity(svid: X509Svid, bundles: TrustBundles): IdentitySource {
  return { current: () => svid, bundles: () => bundles, onChange: () => () => {} }
}

async function svidOf(id: SpiffeId, { authority }: MemoryCa): Promise<X509Svid> {
  const bundles = TrustBundles.of(authority.bundle)
  using identity = new RenewingIdentity({
    crypto,
    bundles,
    issue: async (csr) => {
      const { chain } = await authority.issue({ id, proof: 'test' }, csr, { nowMs: Date.now() })
      return { chain, bundles, clockSkewMs: 0 }
    },
    queue: new RenewalQueue(systemTimers),
    random: Math.random,
  })
  return (await identity.start()).svid
}

/** A CSR for a key that nobody keeps. */
export function anyCsr(): Uint8Array {
  return createCsr(crypto.generateKey('ec-p256'))
}
