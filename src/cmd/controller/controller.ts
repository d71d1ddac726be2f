import { join } from 'node:path'
import { formatAddress, type Address } from '../../config/address.ts'
import { type ControllerConfig } from '../../config/controller-config.ts'
import { ConfigError, formatProblem } from '../../config/errors.ts'
import type { FederationConfig } from '../../config/federation-config.ts'
import { controllerId } from '../../config/proxy-config.ts'
import { RenewalQueue } from '../../control/renewal-queue.ts'
import { type IdentityEvent, RenewingIdentity } from '../../control/renewing-identity.ts'
import { ControlServer } from '../../control/server.ts'
import { Leadership } from '../../control/leadership.ts'
import { ReplicaFleets } from '../../control/replica-fleets.ts'
import { SnapshotBoard } from '../../control/snapshot-board.ts'
import { systemTimers } from '../../control/timers.ts'
import type { MeshState } from '../../control/mesh-state.ts'
import { utf8 } from '../../bytes/bytes.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import { TrustBundles } from '../../identity/trust-bundle.ts'
import type { Listener, Transport } from '../../net/transport.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Authorities } from '../../ca/authorities.ts'
import { DirectoryFleetStore } from '../../ca/directory-fleet-store.ts'
import type { HeldLease, Lease } from '../../ca/lease.ts'
import type { FileOperations } from '../../ca/durable-file.ts'
import type { CertificateAuthority } from '../../ca/authority.ts'
import { listenForAdmin } from './admin-socket.ts'
import { forLeader } from './leader-handlers.ts'
import { replicaDirectory } from './replicas.ts'
import { STATE_FILES } from './state-files.ts'
import { demandedSigner, rotateHandler, rotationOf, type RunningRotation } from './rotation.ts'
import { followRevocations, revocationHandlers } from './revocation.ts'
import { admission } from './admission.ts'
import { startFederation } from './federation.ts'
import { loadKeySet } from './load-key-set.ts'
import { type LoadedPolicies, loadPolicies } from './policy-files.ts'
import { PolicyWatch } from './policy-watch.ts'
import { PublishedKeySets } from './published-key-sets.ts'
import { asConfigErrors, asTakenAddress } from './refusals.ts'
import { openState } from './state.ts'
import { outageBudgetHandler } from './outage-report.ts'

export interface ControllerWorld {
  readonly crypto: CryptoProvider
  readonly transport: Transport
  readonly log: Logger
  /** How the authority's files and the trust bundle are written. @default node:fs/promises */
  readonly files?: FileOperations
}

/** A controller at work. */
export interface RunningController extends AsyncDisposable {
  /** With the port that was chosen where 0 was configured. */
  readonly address: Address
  readonly board: SnapshotBoard
  /** Reads the policies and the operator's authority again now, and federates as is said here. */
  reload(federation: FederationConfig): Promise<void>
}

/**
 * Starts a controller: state, own identity, policies, services, listener, in this order.
 *
 * @throws ConfigError for what the operator has to mend, CaError for a store that does not hold
 */
export async function startController(
  config: ControllerConfig,
  world: ControllerWorld,
): Promise<RunningController> {
  const { crypto, log, files } = world
  const { trustDomain, policyPath: path } = config
  await using started = new AsyncDisposableStack()
  const load = (): Promise<LoadedPolicies> => loadPolicies({ path, crypto, trustDomain })
  const policies = await load()
  const {
    authority,
    issuer,
    witness,
    revocations: register,
    lease,
    held,
  } = started.use(await asConfigErrors(() => openState(config, world)))
  const { authorities } = authority

  const id = SpiffeId.parse(controllerId(trustDomain))
  const identity = started.use(
    new RenewingIdentity({
      crypto,
      bundles: TrustBundles.of(authority.bundle),
      expected: id,
      issue: async (csr) => {
        const { chain } = await authority.issue({ id, proof: 'controller' }, csr, {
          nowMs: Date.now(),
          dnsNames: config.istioCa?.dnsNames ?? [],
        })
        // A proxy that starts with an old trust bundle finds its way to us by the bridge.
        const { bridge } = authorities
        const bridged = bridge === undefined || chain.includes(bridge) ? chain : [...chain, bridge]
        return { chain: bridged, bundles: TrustBundles.of(authority.bundle), clockSkewMs: 0 }
      },
      queue: new RenewalQueue(systemTimers),
      random: Math.random,
      onEvent: (event) => logIdentityEvent(event, log),
    }),
  )
  await identity.start()

  const board = new SnapshotBoard({
    epoch: crypto.random(8).toHex(),
    state: { ...meshState(authority, policies), revocations: register.current },
  })
  const revocation = { register, authority, board, identity, crypto, timers: systemTimers, log }
  started.defer(followRevocations(revocation))
  const fleets = new ReplicaFleets({
    store: await DirectoryFleetStore.open(join(config.stateDir, STATE_FILES.fleets)),
    replica: config.replica,
    startedAtMs: Date.now(),
  })
  const rotation = started.use(
    await rotationOf({ authority, board, identity, fleets, register, config, crypto, log, files }),
  )
  const keySets = started.use(publishedKeySets({ crypto, board, log }))
  await keySets.follow(policies.keySetSources)
  const watch =
    path === undefined
      ? undefined
      : started.use(watchPolicies(path, { load, loaded: policies, board, keySets, log }))
  const federation = started.use(
    await asConfigErrors(() => startFederation(config, { ...world, trustDomain, board, identity })),
  )
  const server = new ControlServer({
    issuer,
    board,
    witness,
    timers: systemTimers,
    log,
    istioCa: config.istioCa && { trustDomain },
  })
  started.defer(() => server.close())
  const listener = await listen(config, world, admission({ server, identity, crypto, log }))
  started.defer(() => listener.close())

  started.use(
    await asConfigErrors(() =>
      listenForAdmin(replicaDirectory(config.stateDir, config.replica), {
        handlers: {
          ...forLeader(
            { ...revocationHandlers(revocation), rotate: rotateHandler(rotation.rotator) },
            { authorities, lease },
          ),
          'outage-budget': outageBudgetHandler(config.stateDir, rotation.connected),
        },
        log,
      }),
    ),
  )
  // Given back before anything else ends: whoever leads next does not have to wait for that.
  started.use(lead({ lease, held, rotation, authorities, replica: config.replica, log }))

  log.info('ready', {
    address: formatAddress(listener.address),
    trustDomain,
    spiffeId: id.toString(),
    stateDir: config.stateDir,
    replica: config.replica,
    leads: authorities.leads,
    policies: policies.count,
    policyRevision: policies.revision,
    ...(federation.endpoint !== undefined && { bundleEndpoint: formatAddress(federation.endpoint) }),
  })
  logWarnings(policies, log)
  const resources = started.move()
  return {
    address: listener.address,
    board,
    async reload(newer) {
      await Promise.all([watch?.reload(), rotation.follow(), federation.reload(newer)])
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Leads as soon as nobody else does. */
function lead({
  lease,
  held,
  rotation,
  authorities,
  replica,
  log,
}: {
  readonly lease: Lease
  readonly held: HeldLease | undefined
  readonly rotation: RunningRotation
  readonly authorities: Authorities
  readonly replica: string
  readonly log: Logger
}): AsyncDisposable {
  const leadership = new Leadership({
    lease,
    holder: replica,
    held,
    timers: systemTimers,
    async onGained(term) {
      try {
        await rotation.lead(term)
      } catch (error) {
        await authorities.rest()
        throw error
      }
      log.info('Leading', { replica, term })
    },
    onLost() {
      log.error('Leads no more: another controller has taken over', { replica })
      void authorities.rest()
    },
    onError: (error) => log.error('Could not take the lead; it will be tried again', { error }),
  })
  return {
    async [Symbol.asyncDispose]() {
      await authorities.rest()
      leadership[Symbol.dispose]()
    },
  }
}

function watchPolicies(
  path: string,
  {
    load,
    loaded,
    board,
    keySets,
    log,
  }: {
    readonly load: () => Promise<LoadedPolicies>
    readonly loaded: LoadedPolicies
    readonly board: SnapshotBoard
    readonly keySets: PublishedKeySets
    readonly log: Logger
  },
): PolicyWatch {
  return new PolicyWatch({
    path,
    loaded,
    load,
    onChange: (policies) => {
      const { version } = board.publish({ ...board.current, ...policyState(policies) })
      log.info('Policies changed', {
        number: version.number,
        policies: policies.count,
        policyRevision: policies.revision,
      })
      logWarnings(policies, log)
      // Policy does not wait for issuers; where their keys are not there yet, their tokens are refused.
      void keySets.follow(policies.keySetSources)
    },
    onRefused: (error) =>
      log.error('Policies refused; those in force stay', {
        error,
        ...(error instanceof ConfigError && { problems: error.problems }),
        policyRevision: board.current.policyRevision,
      }),
  })
}

/** The keys of issuers of tokens, fetched for all proxies. */
function publishedKeySets({
  crypto,
  board,
  log,
}: Pick<ControllerWorld, 'crypto' | 'log'> & { readonly board: SnapshotBoard }): PublishedKeySets {
  const keySets: PublishedKeySets = new PublishedKeySets({
    crypto,
    load: loadKeySet,
    onChange: () => {
      const { version } = board.publish({ ...board.current, keySets: keySets.current })
      log.info('Keys of token issuers changed', {
        number: version.number,
        sources: [...keySets.current.keys()],
      })
    },
    onFailure: (source, { error, hasKeys }) =>
      log.error(
        hasKeys
          ? 'The keys of a token issuer could not be refreshed; those that were had last stay'
          : 'The keys of a token issuer cannot be had; its tokens are refused',
        { source, error },
      ),
  })
  return keySets
}

function logWarnings({ warnings }: LoadedPolicies, log: Logger): void {
  for (const problem of warnings)
    log.warn('A policy may not say what is meant', { problem: formatProblem(problem) })
}

function meshState(authority: CertificateAuthority, policies: LoadedPolicies): MeshState {
  return {
    bundles: TrustBundles.of(authority.bundle),
    signerKey: demandedSigner(authority),
    ...policyState(policies),
  }
}

function policyState({ text, revision }: LoadedPolicies): Pick<MeshState, 'policies' | 'policyRevision'> {
  return { policies: utf8(text), policyRevision: revision }
}

async function listen(
  { listen: address }: ControllerConfig,
  { transport, log }: ControllerWorld,
  accept: ReturnType<typeof admission>,
): Promise<Listener> {
  try {
    return await transport.listen(address, accept, {
      onError: (error) => log.error('A connection could not be accepted', { error }),
    })
  } catch (error) {
    throw asTakenAddress(error, {
      address,
      field: 'spec.listen',
      hint: 'stop that program, or choose another address with --listen',
    })
  }
}

function logIdentityEvent(event: IdentityEvent, log: Logger): void {
  if (event.kind === 'issued')
    log.info('Own certificate issued', {
      expiresAt: new Date(event.svid.expiresAtMs),
      renewInMs: Math.round(event.renewInMs),
    })
  if (event.kind === 'failed') log.error('Own certificate could not be renewed', { ...event })
}
