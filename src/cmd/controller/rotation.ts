import { join } from 'node:path'
import { equalBytes } from '../../bytes/bytes.ts'
import type { CertificateAuthority } from '../../ca/authority.ts'
import { type FileOperations, PUBLIC_FILE_MODE, writeDurably } from '../../ca/durable-file.ts'
import type { PublishedFollower } from '../../ca/fleet-store.ts'
import type { RevocationRegister } from '../../ca/revocation-register.ts'
import { demandsRenewal, signingAuthority } from '../../ca/rotation.ts'
import { Rotator } from '../../ca/rotator.ts'
import type { AuthorityFiles, ControllerConfig } from '../../config/controller-config.ts'
import type { ReplicaFleets, ReplicaStanding } from '../../control/replica-fleets.ts'
import type { RenewingIdentity } from '../../control/renewing-identity.ts'
import type { SnapshotBoard } from '../../control/snapshot-board.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { encodeTrustBundlePem, sameBundle, TrustBundles } from '../../identity/trust-bundle.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { AdminHandler, AdminRequest } from './admin-socket.ts'
import { authorityFingerprint, readOperatorAuthority } from './operator-authority-files.ts'
import { STATE_FILES } from './state-files.ts'

/** How often replicas look what others have done, and whether a stage has come about by itself. */
const LOOK_MS = 250

/** How often the files of the operator's authority are looked at. */
const WATCH_MS = 2_000

export interface RotationOptions {
  readonly authority: CertificateAuthority
  readonly board: SnapshotBoard
  /** The controller's own. */
  readonly identity: Pick<RenewingIdentity, 'replaceBundles' | 'renewWithin'>
  /** Who is connected to the other controllers. */
  readonly fleets: ReplicaFleets
  /** What is revoked, which the controller that leads writes down. */
  readonly register: Pick<RevocationRegister, 'refresh'>
  readonly config: ControllerConfig
  readonly crypto: CryptoProvider
  readonly log: Logger
  readonly files?: FileOperations | undefined
}

/** The key whose certificates all shall have now, if an authority is being taken out of use. */
export function demandedSigner({ authorities }: CertificateAuthority): Uint8Array | undefined {
  if (!demandsRenewal(authorities.state)) return undefined
  return authorities.signer.intermediate.certificate.publicKey.spki
}

export interface RunningRotation extends AsyncDisposable {
  readonly rotator: Rotator
  /** Reads the operator's authority again; if it is another one, a rotation to it begins. What is wrong is logged. */
  readonly follow: () => Promise<void>
  /** Takes over from the controller that led before. @throws CaError CA_STORE_… */
  readonly lead: (term: number) => Promise<void>
  /** Whoever is connected to any of the controllers. */
  readonly connected: () => readonly PublishedFollower[]
}

/**
 * Rotates the authority of a running controller, or follows the one that does: every step reaches proxies, our own
 * certificate and the trust bundle file.
 */
export async function rotationOf(options: RotationOptions): Promise<RunningRotation> {
  const { authority, board, identity, fleets, register, config, crypto, log, files } = options
  const { authorities } = authority
  let neededNumber = board.current.version.number
  let signer = signingAuthority(authorities.state)
  /** What proxies have been told of. */
  let { record } = authorities

  const publish = (): void => {
    const { current } = board
    record = authorities.record
    const { bundle } = authority
    const signerKey = demandedSigner(authority)
    const sameSigner =
      signerKey === undefined || current.signerKey === undefined
        ? signerKey === current.signerKey
        : equalBytes(signerKey, current.signerKey)
    if (sameBundle(current.bundles.lookup(authority.trustDomain), bundle) && sameSigner) return
    const bundles = current.bundles.with(bundle)
    neededNumber = board.publish({ ...current, bundles, signerKey }).version.number
    // Whoever connects to the controller is of its own trust domain.
    identity.replaceBundles(TrustBundles.of(bundle))
  }
  const move = async (): Promise<void> => {
    const { state } = authorities
    log.info('Rotation moved', {
      stage: state.rotation?.stage ?? 'none',
      signs: signingAuthority(state),
      trusted: authorities.anchors.map(({ subject }) => subject.text),
    })
    publish()
    if (signingAuthority(state) !== signer) identity.renewWithin(0)
    signer = signingAuthority(state)
    if (authorities.leads) await writeTrustBundle(config.stateDir, authority, files)
  }
  let moving: Promise<void> = Promise.resolve()
  /** One after the other: a command, and what comes about by itself, would write the same file at once. */
  const onMoved = (): Promise<void> => {
    const moved = moving.then(move)
    moving = moved.catch(() => {})
    return moved
  }
  const standing = (): ReplicaStanding => ({
    nowMs: Date.now(),
    subscribers: board.subscribers,
    record,
    // What nobody has been told yet, nobody has acknowledged.
    neededNumber: record === authorities.record ? neededNumber : Infinity,
    signerKey: authorities.signer.intermediate.certificate.publicKey.spki,
  })
  const rotator = new Rotator({
    authorities,
    nowMs: Date.now,
    publishMs: config.federation.bundleEndpoint?.publishMs ?? 0,
    fleet: () => fleets.fleet(standing()),
    onMoved,
    operator: () => readOperatorAuthority(config, { crypto, nowMs: Date.now() }),
    onEvent: ({ slot, certificate }) =>
      log.info('Made a certificate authority', { slot, subject: certificate.subject.text }),
  })
  const look = async (): Promise<void> => {
    await authorities.refresh({ nowMs: Date.now() }, true)
    if (!authorities.leads) await Promise.all([authority.refresh(), register.refresh()])
    // Who leads tells of its steps as it takes them.
    if (!authorities.leads && authorities.record !== record) await onMoved()
    // Intermediates are replaced, and so are keys for JWT-SVIDs, rotation or not.
    publish()
    await fleets.publish(standing())
    await fleets.read(Date.now())
    if (authorities.leads && authorities.state.rotation !== undefined) await rotator.advance()
  }
  let looking: Promise<void> | undefined
  const lookAgain = (): Promise<void> =>
    (looking ??= look()
      .catch((error: unknown) => log.error('The rotation could not go on; it will be tried again', { error }))
      .finally(() => (looking = undefined)))
  const follow = async (): Promise<void> => {
    if (!authorities.leads) return
    try {
      await rotator.follow()
    } catch (error) {
      log.error('The configured certificate authority is not taken; the one in force stays', { error })
    }
  }
  // Before anybody connects, so that whoever leads knows of this controller.
  await look()
  const timer = setInterval(() => void lookAgain(), LOOK_MS)
  const watch = config.authority === undefined ? undefined : watchFiles(config.authority, follow)
  return {
    rotator,
    follow,
    async lead(term) {
      const nowMs = Date.now()
      await register.refresh()
      await authorities.lead(term, { nowMs })
      await authority.maintain(nowMs)
      fleets.lead(nowMs)
      await onMoved()
      await follow()
    },
    connected: () => [...fleets.own(standing()), ...fleets.others.flatMap(({ followers }) => followers)],
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      clearInterval(watch)
      await looking
      await fleets.retire()
    },
  }
}

/** Writes what proxies need to trust the controller, for those that start. @throws CaError CA_STORE_IO */
export function writeTrustBundle(
  stateDir: string,
  { bundle }: CertificateAuthority,
  files?: FileOperations,
): Promise<void> {
  return writeDurably(join(stateDir, STATE_FILES.trustBundle), encodeTrustBundlePem(bundle), {
    mode: PUBLIC_FILE_MODE,
    ...(files !== undefined && { files }),
  })
}

/** Looks first at once: the files may have changed while no controller ran. */
function watchFiles(files: AuthorityFiles, follow: () => Promise<void>): NodeJS.Timeout {
  let seen: string | undefined
  const look = async (): Promise<void> => {
    const fingerprint = await authorityFingerprint(files)
    if (fingerprint === seen) return
    seen = fingerprint
    await follow()
  }
  void look()
  return setInterval(() => void look(), WATCH_MS)
}

/** Answers `handfast ca rotate`. */
export function rotateHandler(rotator: Rotator): AdminHandler {
  return async ({ action, abandonAbsent }: AdminRequest) => {
    switch (action) {
      case 'status':
        return rotator.report()
      case 'prepare':
        return rotator.prepare()
      case 'activate':
      case 'taint':
      case 'remove':
      case 'rollback':
        return rotator.step(action, { abandonAbsent: abandonAbsent === true })
      default:
        throw new TypeError(`A rotation has no step ${String(action)}`)
    }
  }
}
