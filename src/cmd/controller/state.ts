import { join } from 'node:path'
import { CertificateAuthority } from '../../ca/authority.ts'
import type { CertificateWitness } from '../../ca/certificate-witness.ts'
import { KnownCertificates } from '../../ca/known-certificates.ts'
import { lockDirectory } from '../../ca/directory-lock.ts'
import { DirectoryCaStore } from '../../ca/directory-store.ts'
import { DirectoryTokenStore } from '../../ca/directory-token-store.ts'
import { type FileOperations, makeDirectory } from '../../ca/durable-file.ts'
import type { AuthorityEvent } from '../../ca/generation.ts'
import { Issuer } from '../../ca/issuer.ts'
import { JoinTokenAttestor } from '../../ca/join-token-attestor.ts'
import { openJournal } from '../../ca/open-journal.ts'
import { RevocationRegister } from '../../ca/revocation-register.ts'
import { PeerSvidAttestor } from '../../ca/peer-svid-attestor.ts'
import { treeHeadText } from '../../ca/tree-head.ts'
import type { ControllerConfig } from '../../config/controller-config.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { readOperatorAuthority } from './operator-authority-files.ts'
import { writeTrustBundle } from './rotation.ts'
import type { Logger } from '../../telemetry/log.ts'
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

/** What a controller works with that outlives it. */
export interface ControllerState extends AsyncDisposable {
  readonly authority: CertificateAuthority
  readonly issuer: Issuer
  readonly revocations: RevocationRegister
  readonly witness: CertificateWitness
}

/**
 * Opens a state directory for one controller, making what is not there yet, and writes the trust bundle for proxies.
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
  const { stateDir, trustDomain, svidTtlMs, maxSvidTtlMs, jwtSvidTtlMs, caTtlMs, limits, federation } = config
  await using opened = new AsyncDisposableStack()
  await makeDirectory(stateDir)
  opened.use(lockDirectory(stateDir))
  const journal = opened.use(
    await openJournal(join(stateDir, STATE_FILES.journal), {
      crypto,
      trustDomain,
      nowMs: Date.now,
      older: join(stateDir, STATE_FILES.olderJournal),
    }),
  )
  const tokens = await DirectoryTokenStore.open(join(stateDir, STATE_FILES.tokens))
  const store = await DirectoryCaStore.open(join(stateDir, STATE_FILES.authorities), files)
  const revocations = await RevocationRegister.open({ store, journal, trustDomain })
  const known = new KnownCertificates()
  const authority = await CertificateAuthority.open(
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
    { nowMs: Date.now() },
  )
  await writeTrustBundle(stateDir, authority, files)

  const maintain = async (): Promise<void> => {
    // Whoever keeps the log can tell with it whether the journal was cut short.
    if (journal.head !== undefined) log.info('Journal head', { head: treeHeadText(journal.head) })
    try {
      await authority.maintain(Date.now())
      await revocations.sweep(Date.now())
      known.sweep(Date.now() - KEEP_ENDED_CERTIFICATES_MS)
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
  return { authority, issuer, revocations, witness, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

function logAuthorityEvent({ slot, certificate }: AuthorityEvent, log: Logger): void {
  log.info('Made a certificate authority', {
    slot,
    subject: certificate.subject.text,
    serialNumber: certificate.serialNumber,
    notAfter: new Date(certificate.notAfterMs),
  })
}
