import type { Certificate } from '../pki/certificate.ts'
import { certificateLabel, timeText } from '../pki/label.ts'
import type { Authorities } from './authorities.ts'
import { CaError } from './errors.ts'
import type { AuthorityEvent } from './generation.ts'
import { isMadeOf, type OperatorAuthority } from './operator-authority.ts'
import {
  advanceRotation,
  type Fleet,
  type Follower,
  type Obstacle,
  prepareObstacle,
  type RotationCommand,
  rotationObstacle,
  type RotationOutcome,
  type RotationStage,
  signingAuthority,
  type StepContext,
  stepRotation,
  trustedAuthorities,
} from './rotation.ts'

export interface RotatorOptions {
  readonly authorities: Authorities
  /** Everyone who is connected now. */
  readonly fleet: () => Fleet
  readonly nowMs: () => number
  /** How long other trust domains are given to fetch a new anchor. @default 0 */
  readonly publishMs?: number
  /** A step has been taken: what others are to be told may have changed. */
  readonly onMoved: () => void | Promise<void>
  readonly onEvent?: (event: AuthorityEvent) => void
  /** Reads the authority that the operator has configured, if any. @throws CaError, ConfigError */
  readonly operator?: () => Promise<OperatorAuthority | undefined>
}

/** One authority as operators see it. */
export interface AuthorityReport {
  readonly number: number
  readonly root: CertificateReport
  readonly intermediate: CertificateReport
  /** Whether whoever trusts only the authority before can verify what this one signs. */
  readonly bridged: boolean
  readonly signs: boolean
}

export interface CertificateReport {
  readonly subject: string
  readonly serialNumber: string
  /** RFC 3339, UTC. */
  readonly notAfter: string
}

/** How far a rotation has come, and what the next steps wait for. */
export interface RotationReport {
  readonly stage: RotationStage | 'none'
  /** RFC 3339, UTC; absent without a rotation. */
  readonly since?: string
  readonly current: AuthorityReport
  readonly next?: AuthorityReport
  readonly connected: number
  /** Each command that this stage knows: what it waits for, or undefined. */
  readonly steps: Readonly<Partial<Record<RotationCommand | 'prepare', StepReport>>>
}

export interface StepReport {
  readonly possible: boolean
  readonly waitsFor?: string
}

const COMMANDS: readonly RotationCommand[] = ['activate', 'taint', 'remove', 'rollback']

/** Names so many who lag; the rest is counted. */
const MAX_NAMED = 20

/** Carries out what operators command, and what time and acknowledgements bring about. */
export class Rotator {
  readonly #options: RotatorOptions

  constructor(options: RotatorOptions) {
    this.#options = options
  }

  /**
   * Makes the next authority, or takes the one that the operator has configured, and begins to distribute its anchor.
   *
   * @throws CaError CA_ROTATION_STAGE, CA_OPERATOR_AUTHORITY, CA_STORE_IO; ConfigError
   */
  async prepare(): Promise<RotationReport> {
    const { authorities, nowMs, onEvent } = this.#options
    const operator = await this.#options.operator?.()
    if (operator !== undefined && this.#inUse(operator))
      throw new CaError(
        'CA_OPERATOR_AUTHORITY',
        'The configured files hold an authority that is in use already; put the next one in their place',
      )
    await this.#finish(await authorities.prepare(() => ({ nowMs: nowMs(), onEvent }), operator), 'prepare')
    return this.report()
  }

  /**
   * Begins a rotation if the operator has put another authority in the place of the one in use.
   *
   * @returns whether one has begun
   * @throws CaError CA_ROTATION_STAGE, CA_OPERATOR_AUTHORITY, CA_STORE_IO; ConfigError
   */
  async follow(): Promise<boolean> {
    const operator = await this.#options.operator?.()
    if (operator === undefined || this.#inUse(operator)) return false
    await this.prepare()
    return true
  }

  #inUse(operator: OperatorAuthority): boolean {
    const { authorities } = this.#options
    return trustedAuthorities(authorities.state).some((number) =>
      isMadeOf(authorities.generation(number), operator),
    )
  }

  /** @throws CaError CA_ROTATION_STAGE, CA_ROTATION_WAITS, CA_STORE_IO */
  async step(
    command: RotationCommand,
    { abandonAbsent = false }: { readonly abandonAbsent?: boolean } = {},
  ): Promise<RotationReport> {
    const outcome = await this.#options.authorities.change((state) =>
      stepRotation(state, command, { ...this.#context(), abandonAbsent }),
    )
    await this.#finish(outcome, command)
    return this.report()
  }

  /** Notes what has come about by itself. To be called now and then. @throws CaError CA_STORE_IO */
  async advance(): Promise<void> {
    const { authorities, onMoved } = this.#options
    if (advanceRotation(authorities.state, this.#context()) === authorities.state) return
    await authorities.change((state) => ({ kind: 'moved', state: advanceRotation(state, this.#context()) }))
    await onMoved()
  }

  report(): RotationReport {
    const { authorities, fleet } = this.#options
    const { state } = authorities
    const { rotation, current } = state
    const steps: Partial<Record<RotationCommand | 'prepare', StepReport>> = {}
    const prepare = prepareObstacle(state)
    if (prepare === undefined) steps.prepare = stepReport(prepare)
    for (const command of COMMANDS) {
      const obstacle = rotationObstacle(state, command, this.#context())
      if (obstacle?.kind !== 'no-rotation' && obstacle?.kind !== 'wrong-stage')
        steps[command] = stepReport(obstacle)
    }
    return {
      stage: rotation?.stage ?? 'none',
      ...(rotation !== undefined && { since: timeText(rotation.sinceMs) }),
      current: this.#authorityReport(current),
      ...(rotation !== undefined && { next: this.#authorityReport(rotation.next) }),
      connected: fleet().followers.length,
      steps,
    }
  }

  #authorityReport(number: number): AuthorityReport {
    const { authorities } = this.#options
    const { root, intermediate, chain } = authorities.generation(number)
    return {
      number,
      root: certificateReport(root.certificate),
      intermediate: certificateReport(intermediate.certificate),
      bridged: chain.length > 0,
      signs: number === signingAuthority(authorities.state),
    }
  }

  #context(): StepContext {
    const { nowMs, fleet, publishMs = 0 } = this.#options
    return { nowMs: nowMs(), fleet: fleet(), publishMs }
  }

  async #finish(outcome: RotationOutcome, command: RotationCommand | 'prepare'): Promise<void> {
    if (outcome.kind === 'refused') throw refusal(command, outcome.obstacle)
    await this.#options.onMoved()
  }
}

function stepReport(obstacle: Obstacle | undefined): StepReport {
  return obstacle === undefined ? { possible: true } : { possible: false, waitsFor: obstacleText(obstacle) }
}

function refusal(command: string, obstacle: Obstacle): CaError {
  const waits = ['lagging', 'absent', 'unpublished', 'unsettled'].includes(obstacle.kind)
  return new CaError(
    waits ? 'CA_ROTATION_WAITS' : 'CA_ROTATION_STAGE',
    `Cannot ${command}: ${obstacleText(obstacle)}`,
  )
}

function obstacleText(obstacle: Obstacle): string {
  switch (obstacle.kind) {
    case 'no-rotation':
      return 'no rotation is under way; begin one with prepare'
    case 'rotation-under-way':
      return `a rotation is under way, at the stage ${obstacle.stage}; complete it or roll it back`
    case 'wrong-stage':
      return `the rotation is at the stage ${obstacle.stage}, expected ${obstacle.expected.join(' or ')}`
    case 'lagging': {
      const named = obstacle.followers.slice(0, MAX_NAMED).map(lagText)
      const more = obstacle.followers.length - named.length
      return `waiting for ${named.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
    }
    case 'absent':
      return `workloads that are not connected may need it until ${timeText(obstacle.untilMs)}; wait, or give them up with --abandon-absent`
    case 'unpublished':
      return `other trust domains may look at our bundle until ${timeText(obstacle.untilMs)}; wait, or give them up with --abandon-absent`
    case 'unsettled':
      return 'the controller has not run for long enough to tell who is absent; try again in a minute'
  }
}

function lagText({ name, informed, refusal: reason }: Follower): string {
  if (informed) return `${name}, which has not renewed its certificate`
  if (reason !== undefined) return `${name}, which refused the newest state: ${reason}`
  return `${name}, which has not acknowledged the trust bundle`
}

function certificateReport(certificate: Certificate): CertificateReport {
  return {
    subject: certificateLabel(certificate),
    serialNumber: certificate.serialNumber,
    notAfter: timeText(certificate.notAfterMs),
  }
}
