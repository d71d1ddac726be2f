import type { Authorities } from '../../ca/authorities.ts'
import type { CertificateAuthority } from '../../ca/authority.ts'
import { bridgeOf } from '../../ca/bridge.ts'
import { CaError } from '../../ca/errors.ts'
import { MAX_REASON_CHARS, type Revocation, subjectOf } from '../../ca/revocation-record.ts'
import type { RevocationRegister } from '../../ca/revocation-register.ts'
import { controllerId } from '../../config/proxy-config.ts'
import type { RenewingIdentity } from '../../control/renewing-identity.ts'
import type { SnapshotBoard } from '../../control/snapshot-board.ts'
import type { Timers } from '../../control/timers.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { messageOf } from '../../errors.ts'
import { type Revocations, type RevokedSubject } from '../../identity/revocations.ts'
import type { Certificate } from '../../pki/certificate.ts'
import type { Logger } from '../../telemetry/log.ts'
import type { AdminHandler, AdminRequest } from './admin-socket.ts'

/** An operator's command waits so long for proxies to say that they have carried it out. */
const ACKNOWLEDGED_WITHIN_MS = 5_000

/** Often enough that the time that is told means something. */
const LOOK_MS = 10

/** So many proxies that lag are named. */
const NAMED_PROXIES = 20

/** So many revocations fit into an answer of the controller, however much was said about each. */
const PAGE = 200

/** A revocation as operators see it. */
export interface RevocationReport {
  readonly subject: RevokedSubject
  /** RFC 3339, UTC. */
  readonly revoked: string
  readonly reason: string
  /** When it ends by itself; absent when only an operator can end it. */
  readonly ends?: string
}

/** What has become of a command. */
export interface RevocationAnswer {
  readonly revocation: RevocationReport
  /** Whether anything is another than before. */
  readonly changed: boolean
  readonly proxies: {
    readonly connected: number
    /** Of those: who judges by the newest list, and has cut whom it concerns. */
    readonly acknowledged: number
    /** The first of the others. */
    readonly lagging: readonly string[]
  }
  /** From the command's arrival until all had acknowledged, or until there was no more waiting for them. */
  readonly tookMs: number
}

/** A part of the list. */
export interface RevocationPage {
  readonly revocations: readonly RevocationReport[]
  /** Where the next page begins; absent on the last. */
  readonly next?: number
}

export interface RevocationOptions {
  readonly register: RevocationRegister
  readonly authority: CertificateAuthority
  readonly board: SnapshotBoard
  /** The controller's own. */
  readonly identity: Pick<RenewingIdentity, 'current' | 'renewWithin'>
  readonly crypto: CryptoProvider
  readonly timers: Timers
  readonly log: Logger
}

/** Lets every change of the list reach proxies, and our own certificate. @returns the way to stop that */
export function followRevocations({ register, board, identity, crypto, log }: RevocationOptions): () => void {
  return register.onChange((revocations: Revocations) => {
    const { version } = board.publish({ ...board.current, revocations })
    const { serialNumbers, spiffeIds, issuerKeys } = revocations.list
    log.info('Revocations changed', {
      number: version.number,
      revision: revocations.list.revision,
      serialNumbers: serialNumbers.length,
      spiffeIds: spiffeIds.length,
      issuers: issuerKeys.length,
    })
    const own = identity.current()
    if (own === undefined) return
    // Who revokes the controller's certificate wants it to have another.
    const revoked = revocations.find({ name: own.id.toString(), path: own.chain }, crypto)
    if (revoked !== undefined) identity.renewWithin(0)
  })
}

/** Answers `handfast ca revoke`, `handfast ca revoke list` and `handfast ca unrevoke`. */
export function revocationHandlers(options: RevocationOptions): Readonly<Record<string, AdminHandler>> {
  const { register, authority, timers, crypto } = options
  return {
    async revoke(request) {
      const nowMs = timers.nowMs()
      const subject = subjectIn(request)
      refuseSelfHarm(subject, authority, crypto)
      const outcome = await register.revoke(subject, {
        reason: typeof request['reason'] === 'string' ? request['reason'].slice(0, MAX_REASON_CHARS) : '',
        nowMs,
        endsAtMs: endOf(subject, request, { authorities: authority.authorities, crypto, nowMs }),
      })
      return answer(outcome, nowMs, options)
    },
    async unrevoke(request) {
      const nowMs = timers.nowMs()
      const revocation = await register.lift(subjectIn(request), { nowMs })
      return answer({ revocation, changed: true }, nowMs, options)
    },
    async revocations({ from }): Promise<RevocationPage> {
      const begin = Math.max(0, Number(from ?? 0))
      const page = register.revocations.slice(begin, begin + PAGE)
      const next = begin + page.length
      return { revocations: page.map(report), ...(next < register.revocations.length && { next }) }
    },
  }
}

function subjectIn(request: AdminRequest): RevokedSubject {
  try {
    return subjectOf(Object(request['subject']) as Readonly<Record<string, unknown>>)
  } catch (error) {
    throw new CaError('CA_REVOCATION_UNSOUND', `This cannot be revoked: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

/** What everyone's certificate rests on is replaced first, and revoked then. */
function refuseSelfHarm(
  subject: RevokedSubject,
  { authorities, trustDomain }: CertificateAuthority,
  crypto: CryptoProvider,
): void {
  if (subject.kind === 'identity' && subject.spiffeId === controllerId(trustDomain))
    throw new CaError(
      'CA_REVOCATION_UNSOUND',
      "The controller's own identity cannot be revoked: no proxy would hear of anything again; revoke its certificate by --serial, and it gets another",
    )
  if (subject.kind !== 'issuer') return
  const { intermediate, chain, root } = authorities.signer
  const bridge = bridgeOf(root.certificate, chain)
  const needed = [intermediate.certificate, ...chain.filter((other) => other !== bridge), root.certificate]
  if (!needed.some((certificate) => keyDigest(certificate, crypto) === subject.keySha256)) return
  throw new CaError(
    'CA_REVOCATION_UNSOUND',
    'Every certificate in use rests on this authority, those of the controller too; rotate to another (handfast ca rotate prepare, activate), and revoke this one then',
  )
}

/** When nothing is left that a revocation could concern. */
function endOf(
  subject: RevokedSubject,
  request: AdminRequest,
  {
    authorities,
    crypto,
    nowMs,
  }: { readonly authorities: Authorities; readonly crypto: CryptoProvider; readonly nowMs: number },
): number | undefined {
  switch (subject.kind) {
    case 'identity':
      return undefined
    case 'serial': {
      // No certificate that has been signed by now lives longer.
      const { svidTtlMs, longerUntilMs } = authorities.state
      return Math.max(nowMs + svidTtlMs, longerUntilMs)
    }
    case 'issuer': {
      // A key that others have signs whatever they like, until the certificate of the key ends.
      const told = Number(request['issuerEndsAtMs'] ?? Number.NaN)
      const known = authorities.certificates.filter(
        (certificate) => keyDigest(certificate, crypto) === subject.keySha256,
      )
      const ends = [...known.map(({ notAfterMs }) => notAfterMs), ...(Number.isNaN(told) ? [] : [told])]
      return ends.length === 0 ? undefined : Math.max(...ends)
    }
  }
}

async function answer(
  { revocation, changed }: { readonly revocation: Revocation; readonly changed: boolean },
  startedAtMs: number,
  { board, timers }: RevocationOptions,
): Promise<RevocationAnswer> {
  const { number } = board.current.version
  const lagging = (): readonly string[] =>
    board.subscribers
      .filter(({ ackedNumber }) => ackedNumber === undefined || ackedNumber < number)
      .map(({ peer, node }) => `${peer.id.toString()} on ${node}`)
  while (lagging().length > 0 && timers.nowMs() - startedAtMs < ACKNOWLEDGED_WITHIN_MS)
    await new Promise<void>((resolve) => timers.after(LOOK_MS, resolve))
  const late = lagging()
  const connected = board.subscribers.length
  return {
    revocation: report(revocation),
    changed,
    proxies: {
      connected,
      acknowledged: connected - late.length,
      lagging: late.slice(0, NAMED_PROXIES),
    },
    tookMs: timers.nowMs() - startedAtMs,
  }
}

function report({ subject, revokedAtMs, reason, endsAtMs }: Revocation): RevocationReport {
  return {
    subject,
    revoked: new Date(revokedAtMs).toISOString(),
    reason,
    ...(endsAtMs !== undefined && { ends: new Date(endsAtMs).toISOString() }),
  }
}

function keyDigest({ publicKey }: Certificate, crypto: CryptoProvider): string {
  return crypto.digest('sha256', publicKey.spki).toHex()
}
