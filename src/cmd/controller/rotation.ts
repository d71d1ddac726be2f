import { join } from 'node:path'
import { equalBytes } from '../../bytes/bytes.ts'
import type { CertificateAuthority } from '../../ca/authority.ts'
import { type FileOperations, PUBLIC_FILE_MODE, writeDurably } from '../../ca/durable-file.ts'
import { demandsRenewal, signingAuthority } from '../../ca/rotation.ts'
import { Rotator } from '../../ca/rotator.ts'
import type { AuthorityFiles, ControllerConfig } from '../../config/controller-config.ts'
import { fleetOf } from '../../control/fleet.ts'
import type { RenewingIdentity } from '../../control/renewing-identity.ts'
import type { SnapshotBoard } from '../../control/snapshot-board.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { encodeTrustBundlePem, sameBundle, TrustBundles } from '../../identity/trust-bundle.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { AdminHandler, AdminRequest } from './admin-socket.ts'
import { authorityFingerprint, readOperatorAuthority } from './operator-authority-files.ts'
import { STATE_FILES } from './state-files.ts'

/** How often it is asked whether a stage has come about by itself. */
const ADVANCE_MS = 500

/** How often the files of the operator's authority are looked at. */
const WATCH_MS = 2_000

export interface RotationOptions {
  readonly authority: CertificateAuthority
  readonly board: SnapshotBoard
  /** The controller's own. */
  readonly identity: Pick<RenewingIdentity, 'replaceBundles' | 'renewWithin'>
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

export interface RunningRotation extends Disposable {
  readonly rotator: Rotator
  /** Reads the operator's authority again; if it is another one, a rotation to it begins. What is wrong is logged. */
  readonly follow: () => Promise<void>
}

/** Rotates the authority of a running controller: every step reaches proxies, our own certificate and the trust bundle file. */
export function rotationOf(options: RotationOptions): RunningRotation {
  const { authority, board, identity, config, crypto, log, files } = options
  const { authorities } = authority
  const startedAtMs = Date.now()
  let neededNumber = board.current.version.number
  let signer = signingAuthority(authorities.state)

  const publish = (): void => {
    const { current } = board
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
  const onMoved = async (): Promise<void> => {
    const { state } = authorities
    log.info('Rotation moved', {
      stage: state.rotation?.stage ?? 'none',
      signs: signingAuthority(state),
      trusted: authorities.anchors.map(({ subject }) => subject.text),
    })
    publish()
    if (signingAuthority(state) !== signer) identity.renewWithin(0)
    signer = signingAuthority(state)
    await writeTrustBundle(config.stateDir, authority, files)
  }
  const rotator = new Rotator({
    authorities,
    nowMs: Date.now,
    publishMs: config.federation.bundleEndpoint?.publishMs ?? 0,
    fleet: () =>
      fleetOf(board.subscribers, {
        nowMs: Date.now(),
        startedAtMs,
        neededNumber,
        signerKey: authorities.signer.intermediate.certificate.publicKey.spki,
      }),
    onMoved,
    operator: () => readOperatorAuthority(config, { crypto, nowMs: Date.now() }),
    onEvent: ({ slot, certificate }) =>
      log.info('Made a certificate authority', { slot, subject: certificate.subject.text }),
  })
  let advancing = false
  const advance = async (): Promise<void> => {
    if (advancing) return
    // Keys for JWT-SVIDs replace themselves, rotation or not.
    if (authorities.state.rotation === undefined) return publish()
    advancing = true
    try {
      // An intermediate that was replaced meanwhile is the one to renew under.
      publish()
      await rotator.advance()
    } catch (error) {
      log.error('The rotation could not go on; it will be tried again', { error })
    } finally {
      advancing = false
    }
  }
  const follow = async (): Promise<void> => {
    try {
      await rotator.follow()
    } catch (error) {
      log.error('The configured certificate authority is not taken; the one in force stays', { error })
    }
  }
  const timer = setInterval(() => void advance(), ADVANCE_MS)
  const watch = config.authority === undefined ? undefined : watchFiles(config.authority, follow)
  return {
    rotator,
    follow,
    [Symbol.dispose]: () => {
      clearInterval(timer)
      clearInterval(watch)
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
