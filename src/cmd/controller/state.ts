import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CertificateAuthority, type CertificateAuthorityOptions } from '../../ca/authority.ts'
import type { CertificateWitness } from '../../ca/certificate-witness.ts'
import { KnownCertificates } from '../../ca/known-certificates.ts'
import { lockDirectory } from '../../ca/directory-lock.ts'
import { DirectoryCaStore } from '../../ca/directory-store.ts'
import { DirectoryTokenStore } from '../../ca/directory-token-store.ts'
import { type FileOperations, makeDirectory } from '../../ca/durable-file.ts'
import type { AuthorityEvent } from '../../ca/generation.ts'
import { Issuer } from '../../ca/issuer.ts'
import { JoinTokenAttestor } from '../../ca/join-token-attestor.ts'
import type { HeldLease, Lease } from '../../ca/lease.ts'
import { openJournal } from '../../ca/open-journal.ts'
import { RevocationRegister } from '../../ca/revocation-register.ts'
import { PeerSvidAttestor } from '../../ca/peer-svid-attestor.ts'
import { treeHeadText } from '../../ca/tree-head.ts'
import type { ControllerConfig } from '../../config/controller-config.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { readOperatorAuthority } from './operator-authority-files.ts'
import { writeTrustBundle } from './rotation.ts'
import type { Logger } from '../../telemetry/log.ts'
import { leaseOf, replicaDirectory } from './replicas.ts'
import { STATE_FILES } from './state-files.ts'
import { witnessOf } from './witness.ts'
import { tokenAttestors } from './token-attestors.ts'
import { controllerId } from '../../config/proxy-config.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'

/** An expired token is told apart from an unknown one for so long: 7 days. */
const KEEP_EXPIRED_TOKENS_MS = 7 * 24 * 3600 * 1000

/** Proxies whose clocks are behind accept a certificate for longer, and report it: 1 hour. */
const KEEP_ENDED_CERTIFICATES_MS = 3600 * 1000

/** How often the authority looks at its own certificates, and forgets tokens: 1 hour. */
const MAINTENANCE_MS = 3600 * 1000

/** How often a controller that follows looks whether there is something to follow. */
const LOOK_MS = 100

/** What a controller works with that outlives it. */
export interface ControllerState extends AsyncDisposable {
  readonly authority: CertificateAuthority
  readonly issuer: Issuer
  readonly revocations: RevocationRegister
  readonly witness: CertificateWitness
  /** Whoever has it rotates the authority. */
  readonly lease: Lease
  /** It, if it was to be had. */
  readonly held: HeldLease | undefined
}

/**
 * Opens a state directory for one of the controllers that may share it. The one that leads makes what is not there yet, and
 * writes the trust bundle for proxies.
 *
 * @throws CaError
 */
export async function openState(
  config: ControllerConfig,
  {
    crypto,
    log,
    files,
  }: {
    readonly crypto: CryptoProvider
    readonly log: Logger
    readonly files?: FileOperations | undefined
  },
): Promise<ControllerState> {
  const {
    stateDir,
    replica,
    trustDomain,
    svidTtlMs,
    maxSvidTtlMs,
    jwtSvidTtlMs,
    caTtlMs,
    limits,
    federation,
  } = config
  await using opened = new AsyncDisposableStack()
  await makeDirectory(stateDir)
  const own = replicaDirectory(stateDir, replica)
  await makeDirectory(own)
  opened.use(lockDirectory(own))
  const journal = opened.use(
    await openJournal(join(own, STATE_FILES.journal), {
      crypto,
      trustDomain,
      nowMs: Date.now,
      older: join(own, STATE_FILES.olderJournal),
    }),
  )
  const tokens = await DirectoryTokenStore.open(join(stateDir, STATE_FILES.tokens))
  const store = await DirectoryCaStore.open(join(stateDir, STATE_FILES.authorities), files)
  const revocations = await RevocationRegister.open({ store, journal, trustDomain })
  const known = new KnownCertificates()
  const lease = leaseOf(stateDir)
  const { authority, held } = await openAuthority(
    {
      store,
      journal: known.learnFrom(journal),
      crypto,
      trustDomain,
      intermediateTtlMs: caTtlMs,
      svidTtlMs,
      maxSvidTtlMs,
      jwtTtlMs: jwtSvidTtlMs,
      publishMs: federation.bundleEndpoint?.publishMs ?? 0,
      operator: () => readOperatorAuthority(config, { crypto, nowMs: Date.now() }),
      onEvent: (event) => logAuthorityEvent(event, log),
    },
    { lease, replica, log },
  )
  if (held !== undefined) {
    opened.use(held)
    await writeTrustBundle(stateDir, authority, files)
  }

  const maintain = async (): Promise<void> => {
    // Whoever keeps the log can tell with it whether the journal was cut short.
    if (journal.head !== undefined) log.info('Journal head', { head: treeHeadText(journal.head) })
    try {
      known.sweep(Date.now() - KEEP_ENDED_CERTIFICATES_MS)
      if (!authority.authorities.leads) return
      await authority.maintain(Date.now())
      await revocations.sweep(Date.now())
      await tokens.sweep(Date.now() - KEEP_EXPIRED_TOKENS_MS)
    } catch (error) {
      log.error('Maintenance failed; it will be tried again', { error })
    }
  }
  opened.adopt(
    setInterval(() => void maintain(), MAINTENANCE_MS),
    clearInterval,
  )
  await maintain()

  const issuer = new Issuer({
    authority,
    attestors: {
      'join-token': new JoinTokenAttestor({ crypto, store: tokens }),
      'peer-svid': new PeerSvidAttestor(),
      ...tokenAttestors(config, { crypto, trustDomain }),
    },
    journal,
    limits,
    revocations: () => revocations.current,
    reserved: SpiffeId.parse(controllerId(trustDomain)),
  })
  const resources = opened.move()
  const witness = witnessOf({ stateDir, authority, journal, known, crypto, log })
  return {
    authority,
    issuer,
    revocations,
    witness,
    lease,
    held,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** Leads if nobody does, and makes what is not there; follows otherwise, as soon as the leader has made it. */
async function openAuthority(
  options: CertificateAuthorityOptions,
  { lease, replica, log }: { readonly lease: Lease; readonly replica: string; readonly log: Logger },
): Promise<{ readonly authority: CertificateAuthority; readonly held: HeldLease | undefined }> {
  for (let waiting = false; ; waiting = true) {
    const held = await lease.tryAcquire(replica)
    if (held !== undefined) return { authority: await openAsLeader(options, held), held }
    const authority = await CertificateAuthority.follow(options, { nowMs: Date.now() })
    if (authority !== undefined) return { authority, held }
    if (!waiting) log.info('Waiting for the authority, which another controller is making')
    await sleep(LOOK_MS)
  }
}

async function openAsLeader(
  options: CertificateAuthorityOptions,
  held: HeldLease,
): Promise<CertificateAuthority> {
  try {
    return await CertificateAuthority.open(options, { nowMs: Date.now(), term: held.term })
  } catch (error) {
    held[Symbol.dispose]()
    throw error
  }
}

function logAuthorityEvent({ slot, certificate }: AuthorityEvent, log: Logger): void {
  log.info('Made a certificate authority', {
    slot,
    subject: certificate.subject.text,
    serialNumber: certificate.serialNumber,
    notAfter: new Date(certificate.notAfterMs),
  })
}
