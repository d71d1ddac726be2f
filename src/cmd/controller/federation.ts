import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type BundleStore, DirectoryBundleStore } from '../../ca/federation-store.ts'
import { PublishedBundle } from '../../ca/published-bundle.ts'
import type { Address } from '../../config/address.ts'
import type { ControllerConfig } from '../../config/controller-config.ts'
import type {
  BundleEndpointConfig,
  FederatedDomainConfig,
  FederationConfig,
} from '../../config/federation-config.ts'
import { FederatedDomain, type FederationEvent } from '../../control/federated-domain.ts'
import type { IdentitySource } from '../../control/identity-source.ts'
import type { SnapshotBoard } from '../../control/snapshot-board.ts'
import { systemTimers } from '../../control/timers.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { TrustBundles } from '../../identity/trust-bundle.ts'
import type { Transport } from '../../net/transport.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { Credential } from '../../tls/options.ts'
import { readCredential } from '../credentials.ts'
import { serveBundle } from './bundle-endpoint.ts'
import { fetchBundle, readBundleFile } from './bundle-fetch.ts'
import { asTakenAddress } from './refusals.ts'
import { STATE_FILES } from './state-files.ts'

interface FederationOptions {
  /** Ours. */
  readonly trustDomain: string
  readonly store: BundleStore
  readonly board: SnapshotBoard
  readonly crypto: CryptoProvider
  readonly transport: Transport
  readonly log: Logger
}

/** The other trust domains of a running controller, and how they come to know ours. */
export interface RunningFederation extends AsyncDisposable {
  /** Where our bundle is published, if it is. */
  readonly endpoint: Address | undefined
  /** Federates with these and no others, and reads the endpoint's certificate again. @throws CaError, ConfigError */
  readonly reload: (config: FederationConfig) => Promise<void>
}

/**
 * Begins to federate, and to publish our own bundle.
 *
 * @throws ConfigError, CaError CA_STORE_…
 */
export async function startFederation(
  { stateDir, federation: config }: Pick<ControllerConfig, 'stateDir' | 'federation'>,
  options: Omit<FederationOptions, 'store'> & { readonly identity: IdentitySource },
): Promise<RunningFederation> {
  const { board, crypto, trustDomain } = options
  await using started = new AsyncDisposableStack()
  const store = await DirectoryBundleStore.open(join(stateDir, STATE_FILES.federation))
  const federation = started.use(new Federation({ ...options, store }))
  const { bundleEndpoint } = config
  let credential = await endpointCredential(bundleEndpoint, crypto)
  let endpoint: Address | undefined
  if (bundleEndpoint !== undefined) {
    const { listen, refreshHintMs } = bundleEndpoint
    const published = new PublishedBundle({
      bundle: () => board.current.bundles.lookup(trustDomain)!,
      refreshHintSeconds: Math.ceil(refreshHintMs / 1000),
      store,
      crypto,
    })
    const serving = started.use(
      await serveBundle({
        ...options,
        listen,
        credential: () => credential ?? options.identity.current(),
        document: () => published.document(),
      }).catch((error: unknown) => {
        throw asTakenAddress(error, {
          address: listen,
          field: 'spec.federation.bundleEndpoint.listen',
          hint: 'stop that program, or choose another address',
        })
      }),
    )
    endpoint = serving.address
  }
  await federation.configure(config.trustDomains)
  const resources = started.move()
  return {
    endpoint,
    async reload({ bundleEndpoint: newer, trustDomains }) {
      if (endpoint !== undefined) credential = await endpointCredential(newer, crypto)
      await federation.configure(trustDomains)
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Undefined where the endpoint shows the controller's own SVID. */
async function endpointCredential(
  endpoint: BundleEndpointConfig | undefined,
  crypto: CryptoProvider,
): Promise<Credential | undefined> {
  if (endpoint?.certificate === undefined) return undefined
  const { certificateFile, keyFile } = endpoint.certificate
  const field = 'spec.federation.bundleEndpoint'
  return readCredential(
    {
      cert: { path: certificateFile, field: `${field}.certificateFile` },
      key: { path: keyFile, field: `${field}.keyFile` },
    },
    crypto,
  )
}

interface Federated {
  readonly config: FederatedDomainConfig
  readonly domain: FederatedDomain
}

/** A file is looked at as often as this, whatever it hints: reading it costs nothing. */
const FILE_REFRESH_MS = 2_000

/** The other trust domains of a running controller: their bundles go to every proxy, each under its own name. */
class Federation implements Disposable {
  readonly #options: FederationOptions
  readonly #federated = new Map<string, Federated>()

  constructor(options: FederationOptions) {
    this.#options = options
  }

  /**
   * Federates with these and no others, from now on. What is stored of others is forgotten.
   *
   * @throws CaError CA_STORE_…
   */
  async configure(configs: readonly FederatedDomainConfig[]): Promise<void> {
    const { store, trustDomain } = this.#options
    for (const [name, { config, domain }] of this.#federated) {
      if (configs.some((other) => isDeepStrictEqual(other, config))) continue
      domain[Symbol.dispose]()
      this.#federated.delete(name)
    }
    await store.retain([trustDomain, ...configs.map((config) => config.trustDomain)])
    for (const config of configs) if (!this.#federated.has(config.trustDomain)) await this.#add(config)
    this.#publish()
  }

  [Symbol.dispose](): void {
    for (const { domain } of this.#federated.values()) domain[Symbol.dispose]()
  }

  async #add(config: FederatedDomainConfig): Promise<void> {
    const { crypto, transport, store } = this.#options
    const { trustDomain, source } = config
    const domain = new FederatedDomain({
      trustDomain,
      load: () => fetchBundle(config, { crypto, transport, bundles: () => this.#bundles() }),
      ...(source.kind === 'spiffe' && { first: () => readBundleFile(source.file, trustDomain) }),
      ...(source.kind === 'file' && { refreshMs: FILE_REFRESH_MS }),
      store,
      crypto,
      timers: systemTimers,
      random: Math.random,
      onChange: () => this.#publish(),
      onEvent: (event) => this.#logEvent(event, trustDomain),
    })
    this.#federated.set(trustDomain, { config, domain })
    await domain.start()
  }

  /** Our own, as it is published, and theirs. */
  #bundles(): TrustBundles {
    const { board, trustDomain } = this.#options
    const theirs = Array.from(this.#federated.values(), ({ domain }) => domain.bundle ?? [])
    return new TrustBundles([board.current.bundles.lookup(trustDomain) ?? [], ...theirs].flat())
  }

  /** Tells every proxy, if there is anything new to tell. */
  #publish(): void {
    const { board } = this.#options
    const { current } = board
    const bundles = this.#bundles()
    if (!bundles.equals(current.bundles)) board.publish({ ...current, bundles })
  }

  #logEvent(event: FederationEvent, trustDomain: string): void {
    const { log } = this.#options
    if (event.kind === 'changed')
      log.info('The bundle of a federated trust domain changed', {
        trustDomain,
        sequence: event.sequence,
        anchors: event.bundle?.anchors.map(({ subject }) => subject.text) ?? [],
      })
    else
      log.error('The bundle of a federated trust domain cannot be refreshed; the last good one stays', {
        trustDomain,
        error: event.error,
        retryInMs: Math.round(event.retryInMs),
      })
  }
}
