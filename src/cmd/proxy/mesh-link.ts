import type { Socket } from 'node:net'
import { hostname } from 'node:os'
import { equalBytes } from '../../bytes/bytes.ts'
import { compilePolicies } from '../../authz/compile.ts'
import { checkModes } from '../../authz/peer-authentication.ts'
import type { PolicyResources } from '../../authz/resources.ts'
import { deserializePolicies } from '../../authz/serialize.ts'
import { formatAddress } from '../../config/address.ts'
import type { ProxyConfig } from '../../config/proxy-config.ts'
import { keySetNames } from '../../config/request-authentication-config.ts'
import { CertificateReporter } from '../../control/certificate-reporter.ts'
import { ControlClient, type IssuedSvid } from '../../control/client.ts'
import { ControlError } from '../../control/errors.ts'
import type { VersionedState } from '../../control/mesh-state.ts'
import type { RenewalQueue } from '../../control/renewal-queue.ts'
import { RenewingIdentity, type IdentityEvent } from '../../control/renewing-identity.ts'
import type { SecureSocket } from '../../control/secure-channel.ts'
import type { SnapshotSubscription, SubscriptionEvent } from '../../control/snapshot-subscription.ts'
import { systemTimers } from '../../control/timers.ts'
import type { WorkloadIdentity } from '../../control/workload-api/identity-feed.ts'
import { TokenCache } from '../../control/workload-api/token-cache.ts'
import { workloadCertifier } from '../../control/workload-certifier.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import { Revocations } from '../../identity/revocations.ts'
import type { X509Svid } from '../../identity/svid.ts'
import { svidVerifier } from '../../identity/svid-verifier.ts'
import { ConnectionDuplex } from '../../net/duplex.ts'
import { NodeConnection } from '../../net/node-connection.ts'
import { secureClient } from '../../net/secure-connection.ts'
import { workloadOf } from '../../proxy/authorize.ts'
import type { MetChain } from '../../proxy/met-certificates.ts'
import type { MeshViews } from '../../proxy/mesh-view.ts'
import type { Logger } from '../../telemetry/log.ts'
import { readToken, type ProxySettings } from './settings.ts'

/** Renewals that the controller asks for are spread over so much time: a large mesh makes hundreds of requests a second of it. */
const DEMANDED_RENEWAL_MS = 10_000

/** And over no more than this part of what a certificate has left to live. */
const DEMANDED_RENEWAL_PART = 1 / 8

/** Replacements of what is revoked are spread over so much time: an authority may have had many certificates. */
const REPLACE_REVOKED_MS = 1_000

export interface MeshLinkOptions {
  readonly settings: ProxySettings
  readonly crypto: CryptoProvider
  readonly views: MeshViews
  /** All renewals of the process. */
  readonly queue: RenewalQueue
  readonly log: Logger
  readonly newId: () => string
  /** Resolves when traffic is judged by what was published so far. @throws ProxyError PROXY_VIEW_REFUSED */
  readonly settled: () => Promise<void>
}

/** The proxy's tie to its controller: identity and policy flow from here into the views. */
export class MeshLink implements Disposable {
  readonly #options: MeshLinkOptions
  readonly #identity: RenewingIdentity
  readonly #workload: RenewingIdentity
  readonly #client: ControlClient
  readonly #reporter: CertificateReporter
  #firstForWorkload: Promise<unknown> | undefined
  #subscription: SnapshotSubscription | undefined
  #demandedSigner: Uint8Array | undefined
  /** Whether the controller has sent us away because our certificate is revoked, and not had us back since. */
  #cutOff = false
  /** Own certificates whose revocation has been answered. */
  readonly #revoked = new WeakSet<X509Svid>()

  constructor(options: MeshLinkOptions) {
    this.#options = options
    const { settings, crypto, views, queue } = options
    this.#client = new ControlClient({
      addresses: settings.config.controller.addresses.map(formatAddress),
      secure: this.#secureSocket(),
      timers: systemTimers,
      random: Math.random,
    })
    this.#reporter = new CertificateReporter({
      send: (report) => this.#client.reportCertificates(report),
      crypto,
      timers: systemTimers,
      random: Math.random,
      onFailure: (error) =>
        this.#options.log.debug('The controller took no report of certificates', { error }),
    })
    this.#identity = new RenewingIdentity({
      crypto,
      bundles: settings.bundles,
      issue: workloadCertifier({
        client: this.#client,
        current: () => this.#identity.current(),
        token: () => readToken(settings.config),
        timers: systemTimers,
      }),
      queue,
      random: Math.random,
      onEvent: (event) => this.#identityEvent(event, 'proxy'),
    })
    this.#identity.onChange((identity) => views.publishIdentity(identity))
    this.#workload = new RenewingIdentity({
      crypto,
      bundles: settings.bundles,
      issue: (csr) => this.#certifyForWorkload(csr),
      queue,
      random: Math.random,
      onEvent: (event) => this.#identityEvent(event, 'workload'),
    })
  }

  /** Certificates that the proxy has met go to the controller, which knows what was issued. */
  report(chains: readonly MetChain[]): void {
    this.#reporter.add(chains)
  }

  /** Begins to ask for a certificate, and goes on for as long as it takes. */
  start(): void {
    void this.#identity.start()
  }

  /**
   * The identity that the workload itself holds: the same name, with a key and a certificate of its own, so that the key of
   * the proxy never leaves it.
   */
  get workloadIdentity(): WorkloadIdentity {
    const identity = this.#workload
    const tokens = new TokenCache({
      issue: (audience) => this.#client.issueJwtSvid(audience),
      timers: systemTimers,
    })
    return {
      issueToken: (audience) => tokens.issue(audience),
      // What nobody accepts any more is of no use to programs.
      current: () => (this.#cutOff ? undefined : identity.current()),
      bundles: () => identity.bundles(),
      onChange: (listener) => identity.onChange(listener),
      ready: () => (this.#firstForWorkload ??= identity.start()),
    }
  }

  /** The number of the controller's state that is in force. */
  get stateNumber(): number | undefined {
    return this.#subscription?.applied?.number
  }

  /** Ends renewals and hangs up; what was published stays. */
  [Symbol.dispose](): void {
    this.#reporter[Symbol.dispose]()
    this.#subscription?.[Symbol.dispose]()
    this.#workload[Symbol.dispose]()
    this.#identity[Symbol.dispose]()
  }

  /** Proven by the certificate of the proxy, and by nothing else: a token may be good for one use. */
  async #certifyForWorkload(csr: Uint8Array): Promise<IssuedSvid> {
    if (this.#identity.current() === undefined)
      throw new ControlError('CONTROL_UNAVAILABLE', 'The proxy has no certificate itself yet')
    return this.#client.issueSvid({ csr, forWorkload: true })
  }

  #secureSocket(): SecureSocket {
    const { settings, crypto, log } = this.#options
    const { controller, handshakeTimeoutMs } = settings.config
    const expected = SpiffeId.parse(controller.spiffeId)
    return async (socket: Socket, identified: boolean) => {
      const own = identified ? this.#identity.current() : undefined
      const secure = await secureClient(
        new NodeConnection(socket),
        {
          crypto,
          nowMs: Date.now,
          alpn: ['h2'],
          verifier: svidVerifier({
            bundles: () => this.#identity.bundles(),
            revocations: () => this.#options.views.revocations,
            crypto,
            expected,
          }),
          ...(own !== undefined && own.expiresAtMs > Date.now() && { credential: own }),
        },
        {
          deadlineMs: handshakeTimeoutMs,
          onFailure: (error) => log.debug('Connection to the controller failed', { error }),
        },
      )
      return new ConnectionDuplex(secure)
    }
  }

  #identityEvent(event: IdentityEvent, holder: 'proxy' | 'workload'): void {
    const { log } = this.#options
    switch (event.kind) {
      case 'issued':
        log.info('Certificate issued', {
          holder,
          spiffeId: event.svid.id.toString(),
          serialNumber: event.svid.chain[0]?.serialNumber,
          expiresAt: new Date(event.svid.expiresAtMs),
          renewInMs: Math.round(event.renewInMs),
        })
        this.#renewIfDemanded()
        if (holder === 'proxy') this.#follow()
        break
      case 'failed':
        log.error('No certificate could be had', {
          holder,
          error: event.error,
          retryInMs: Math.round(event.retryInMs),
          ...(event.leftMs !== undefined && { leftMs: Math.round(event.leftMs) }),
        })
        break
      case 'clock-skew':
        log.warn('The clocks of the controller and of this machine differ', {
          aheadMs: Math.round(event.skewMs),
        })
        break
    }
  }

  /** Follows the controller's state over a connection that shows the newest certificate. */
  #follow(): void {
    if (this.#subscription !== undefined) {
      this.#subscription.reconnect()
      return
    }
    this.#subscription = this.#client.subscribe({
      node: hostname(),
      apply: (state) => this.#apply(state),
      onEvent: (event) => this.#subscriptionEvent(event),
    })
  }

  /** @throws PolicyError, ProxyError, which refuse the state as a whole */
  async #apply(state: VersionedState): Promise<void> {
    const { settings, crypto, views, newId, settled } = this.#options
    const { trustDomain } = settings.config
    const { version, bundles, policies, signerKey, revocations, keySets } = state
    const resources = deserializePolicies(new TextDecoder().decode(policies))
    const own = this.#identity.current()
    if (own !== undefined)
      checkModes(resources.peerAuthentications, workloadOf(own.id), servedPorts(settings.config))
    const compiled = compilePolicies(resources, { crypto, trustDomain, newId })
    this.#identity.replaceBundles(bundles)
    this.#workload.replaceBundles(bundles)
    this.#demandedSigner = signerKey
    views.publishPolicy(compiled, {
      stateNumber: version.number,
      revocations: this.#newest(revocations),
      keySets: this.#keySetsFor(resources, keySets),
    })
    this.#renewIfDemanded()
    // What the controller is told must be true of the threads that carry traffic.
    await settled()
  }

  /** The key sets that policy asks for: as they were sent, or had last, for a controller that was just started may have none yet. */
  #keySetsFor(
    { requestAuthentications }: PolicyResources,
    sent: ReadonlyMap<string, string> = new Map(),
  ): ReadonlyMap<string, string> {
    const known: ReadonlyMap<string, string> = this.#options.views.current?.keySets ?? new Map()
    const names = keySetNames(requestAuthentications)
    const newest = new Map(
      names.flatMap((name) => {
        const text = sent.get(name) ?? known.get(name)
        return text === undefined ? [] : [[name, text] as const]
      }),
    )
    const isSame = newest.size === known.size && [...newest].every(([name, text]) => known.get(name) === text)
    return isSame ? known : newest
  }

  /** Of what was sent and what is known: a controller that lags behind another must not lift what that one has revoked. */
  #newest(sent: Revocations = Revocations.NONE): Revocations {
    const { views, log } = this.#options
    const known = views.revocations
    if (sent.list.revision > known.list.revision) return sent
    if (sent.list.revision === known.list.revision) return known
    log.warn('The controller sent an older list of revocations; the newer one stays in force', {
      sent: sent.list.revision,
      known: known.list.revision,
    })
    return known
  }

  /**
   * An authority is being taken out of use: what it has signed is to be replaced before. What is revoked is replaced at
   * once, which takes a token; if that is refused too, it is asked for again as after any failure.
   */
  #renewIfDemanded(): void {
    for (const identity of [this.#identity, this.#workload]) {
      const svid = identity.current()
      if (svid !== undefined && this.#isRevoked(svid)) this.#replaceRevoked(identity, svid)
      const issuer = svid?.chain[1]
      if (this.#demandedSigner === undefined || svid === undefined || issuer === undefined) continue
      if (equalBytes(issuer.publicKey.spki, this.#demandedSigner)) continue
      this.#options.log.info('The controller asks for the certificate to be renewed')
      const spareMs = Math.max(0, svid.expiresAtMs - Date.now()) * DEMANDED_RENEWAL_PART
      identity.renewWithin(Math.min(DEMANDED_RENEWAL_MS, spareMs))
    }
  }

  #isRevoked({ id, chain }: X509Svid): boolean {
    const { views, crypto } = this.#options
    return views.revocations.find({ name: id.toString(), path: chain }, crypto) !== undefined
  }

  #replaceRevoked(identity: RenewingIdentity, svid: X509Svid): void {
    if (this.#revoked.has(svid)) return
    this.#revoked.add(svid)
    this.#options.log.error('Our certificate has been revoked; another is asked for', {
      spiffeId: svid.id.toString(),
      serialNumber: svid.chain[0]?.serialNumber,
    })
    identity.renewWithin(REPLACE_REVOKED_MS)
  }

  /** Those who follow the Workload API look again. */
  #tellPrograms(): void {
    this.#workload.replaceBundles(this.#workload.bundles())
  }

  #subscriptionEvent(event: SubscriptionEvent): void {
    const { log, views } = this.#options
    switch (event.kind) {
      case 'applied':
        if (this.#cutOff) {
          this.#cutOff = false
          this.#tellPrograms()
        }
        log.info('State applied', {
          number: event.version.number,
          policyRevision: views.current?.policy.revision,
        })
        break
      case 'refused':
        log.error('State refused; the one before stays in force', {
          number: event.version.number,
          error: event.error,
        })
        break
      case 'disconnected': {
        const svid = this.#identity.current()
        if (event.error.refusal === 'CA_REVOKED' && svid !== undefined) {
          this.#cutOff = true
          this.#tellPrograms()
          this.#replaceRevoked(this.#identity, svid)
        }
        log.warn('The controller is away; what it said last stays in force', {
          error: event.error,
          retryInMs: Math.round(event.retryInMs),
        })
        break
      }
    }
  }
}

/** Those of the inbound listeners; undefined where they are not known beforehand: captured connections are for any. */
function servedPorts({ inbound, capture }: ProxyConfig): number[] | undefined {
  const ports = inbound.map(({ listen }) => listen.port)
  return capture !== undefined || ports.includes(0) ? undefined : ports
}
