/**
 * The replacement of a trust domain's authority by the next one, as values: a state, the commands that move it, and
 * what stands in their way. Every state is persisted before it takes effect, and the process may die at any moment.
 *
 * ```
 *            all informed      activate         taint          remove
 *   prepared ───────────▶ distributed ──▶ active ──▶ tainted ──────▶ (none: next is current)
 *       └───────rollback───────┴──▶ (none)   └──rollback──┴──▶ reverting ──all renewed──▶ (none)
 *                                            ▲────────────activate───────┘
 * ```
 */

/** What each stage means. */
export type RotationStage =
  /** The next authority exists, and its anchor is in the bundle that proxies are sent. */
  | 'prepared'
  /** Every connected proxy has acknowledged that bundle. */
  | 'distributed'
  /** The next authority signs; both anchors are trusted. */
  | 'active'
  /** As active, and whoever has a certificate of the old authority is told to renew it now. */
  | 'tainted'
  /** On the way back: the old authority signs again, both are trusted, certificates of the next one are to be renewed. */
  | 'reverting'

export interface Rotation {
  readonly stage: RotationStage
  /** The authority that is to be the current one. */
  readonly next: number
  /** When the stage began, in milliseconds since the Unix epoch. */
  readonly sinceMs: number
  /**
   * Until when workloads that are away can hold what the next step makes useless: bundles without the next anchor
   * before it is active, certificates of the authority that does not sign now from then on.
   */
  readonly absentUntilMs: number
}

/** Which authorities there are. Immutable, persisted whole. */
export interface RotationState {
  /** The authority in force, or the old one of two. */
  readonly current: number
  /** Numbers count up and are never given to another authority. */
  readonly highest: number
  readonly rotation: Rotation | undefined
  /** How long the certificates live that are signed now. */
  readonly svidTtlMs: number
  /** When the last certificate ends that was signed when they lived longer. */
  readonly longerUntilMs: number
}

/** A connected proxy, as far as a rotation depends on it. */
export interface Follower {
  /** For the operator: identity and node. */
  readonly name: string
  /** Whether it has acknowledged the trust bundles of the present stage. */
  readonly informed: boolean
  /** Whether the authority that signs now has signed its certificate. */
  readonly renewed: boolean
  /** Why it refused the newest state, if it did. */
  readonly refusal?: string
}

export interface Fleet {
  /** Everyone who is connected. */
  readonly followers: readonly Follower[]
  /** Whether all who could be connected have had the time to come back since the controller started. */
  readonly settled: boolean
}

export type RotationCommand = 'activate' | 'taint' | 'remove' | 'rollback'

/** Why a command is not carried out. */
export type Obstacle =
  | { readonly kind: 'no-rotation' }
  | { readonly kind: 'rotation-under-way'; readonly stage: RotationStage }
  | {
      readonly kind: 'wrong-stage'
      readonly stage: RotationStage
      readonly expected: readonly RotationStage[]
    }
  /** Connected, and not as far as the step needs. */
  | { readonly kind: 'lagging'; readonly followers: readonly Follower[] }
  /** Workloads that are not connected may depend on what the step takes away. */
  | { readonly kind: 'absent'; readonly untilMs: number }
  /** Other trust domains may not have looked at our bundle since. */
  | { readonly kind: 'unpublished'; readonly untilMs: number }
  /** Nobody can tell who is away. */
  | { readonly kind: 'unsettled' }

export type RotationOutcome =
  | { readonly kind: 'moved'; readonly state: RotationState }
  | { readonly kind: 'refused'; readonly obstacle: Obstacle }

export interface StepContext {
  readonly nowMs: number
  readonly fleet: Fleet
  /** Cut off workloads that are not connected, instead of waiting for their certificates to end. @default false */
  readonly abandonAbsent?: boolean
  /** How long other trust domains are given to fetch a new anchor before anything rests on it. @default 0 */
  readonly publishMs?: number
}

/** The stages that each command starts from. */
const STAGES: Readonly<Record<RotationCommand, readonly RotationStage[]>> = {
  activate: ['prepared', 'distributed', 'reverting'],
  taint: ['active'],
  remove: ['tainted'],
  rollback: ['prepared', 'distributed', 'active', 'tainted', 'reverting'],
}

/** The state before any rotation. */
export function initialRotation(svidTtlMs: number): RotationState {
  return { current: 1, highest: 1, rotation: undefined, svidTtlMs, longerUntilMs: 0 }
}

/** The state under a new lifetime of certificates; the same when it is the old one. */
export function withSvidTtl(state: RotationState, svidTtlMs: number, nowMs: number): RotationState {
  if (state.svidTtlMs === svidTtlMs) return state
  return { ...state, svidTtlMs, longerUntilMs: latestEndMs(state, nowMs) }
}

/**
 * Begins a rotation to an authority that has been made, with {@link RotationState.highest} + 1 as its number.
 *
 * @param bridged whether whoever trusts only the current authority can verify what the next one signs
 */
export function prepareRotation(
  state: RotationState,
  { nowMs, bridged }: { readonly nowMs: number; readonly bridged: boolean },
): RotationOutcome {
  const obstacle = prepareObstacle(state)
  if (obstacle !== undefined) return { kind: 'refused', obstacle }
  const next = state.highest + 1
  // Everyone who has a valid certificate by then has got it with a bundle that holds the next anchor.
  const absentUntilMs = bridged ? nowMs : latestEndMs(state, nowMs)
  return {
    kind: 'moved',
    state: { ...state, highest: next, rotation: { stage: 'prepared', next, sinceMs: nowMs, absentUntilMs } },
  }
}

/** What stands in the way of a new rotation. */
export function prepareObstacle({ rotation }: RotationState): Obstacle | undefined {
  return rotation === undefined ? undefined : { kind: 'rotation-under-way', stage: rotation.stage }
}

/** Carries a command out, or says what stands in its way. */
export function stepRotation(
  state: RotationState,
  command: RotationCommand,
  context: StepContext,
): RotationOutcome {
  const { rotation } = state
  const obstacle = rotationObstacle(state, command, context)
  if (rotation === undefined || obstacle !== undefined)
    return { kind: 'refused', obstacle: obstacle ?? { kind: 'no-rotation' } }
  return { kind: 'moved', state: moved(state, rotation, command, context) }
}

/** What stands in the way of a command; the same that {@link stepRotation} would refuse it for. */
export function rotationObstacle(
  { rotation }: RotationState,
  command: RotationCommand,
  context: StepContext,
): Obstacle | undefined {
  if (rotation === undefined) return { kind: 'no-rotation' }
  const { stage } = rotation
  if (!STAGES[command].includes(stage)) return { kind: 'wrong-stage', stage, expected: STAGES[command] }
  switch (command) {
    case 'activate':
      return (
        laggards(context, ({ informed }) => !informed) ??
        // On the way back everyone knows the next authority already.
        (stage === 'reverting' ? undefined : (absentees(rotation, context) ?? outsiders(rotation, context)))
      )
    case 'taint':
      return laggards(context, ({ informed }) => !informed)
    case 'remove':
      return endObstacle(rotation, context)
    case 'rollback':
      return stage === 'reverting' ? endObstacle(rotation, context) : undefined
  }
}

/**
 * What has come about without a command: a bundle that everyone has, a way back that has been gone to its end.
 *
 * @returns the very same state when nothing has
 */
export function advanceRotation(state: RotationState, context: StepContext): RotationState {
  const { rotation } = state
  if (rotation?.stage === 'prepared' && laggards(context, ({ informed }) => !informed) === undefined)
    return { ...state, rotation: { ...rotation, stage: 'distributed', sinceMs: context.nowMs } }
  if (rotation?.stage === 'reverting' && endObstacle(rotation, context) === undefined)
    return { ...state, rotation: undefined }
  return state
}

/** The authorities whose anchors make the trust bundle; the one that signs is among them. */
export function trustedAuthorities({ current, rotation }: RotationState): readonly number[] {
  return rotation === undefined ? [current] : [current, rotation.next]
}

/** The authority that signs. */
export function signingAuthority({ current, rotation }: RotationState): number {
  return rotation?.stage === 'active' || rotation?.stage === 'tainted' ? rotation.next : current
}

/** Whether workloads shall replace certificates that the signing authority has not signed. */
export function demandsRenewal({ rotation }: RotationState): boolean {
  return rotation?.stage === 'tainted' || rotation?.stage === 'reverting'
}

function moved(
  state: RotationState,
  rotation: Rotation,
  command: RotationCommand,
  { nowMs }: StepContext,
): RotationState {
  const to = (stage: RotationStage, absentUntilMs = rotation.absentUntilMs): RotationState => ({
    ...state,
    rotation: { ...rotation, stage, sinceMs: nowMs, absentUntilMs },
  })
  switch (command) {
    case 'activate':
      // From now on the old authority signs nothing: the last that it has signed ends by then.
      return to('active', latestEndMs(state, nowMs))
    case 'taint':
      return to('tainted')
    case 'remove':
      return { ...state, current: rotation.next, rotation: undefined }
    case 'rollback':
      // The next authority has signed nothing, or all that it has signed is gone.
      if (signingAuthority(state) === state.current) return { ...state, rotation: undefined }
      return to('reverting', latestEndMs(state, nowMs))
  }
}

/** When the last certificate ends that has been signed until now. */
function latestEndMs({ svidTtlMs, longerUntilMs }: RotationState, nowMs: number): number {
  return Math.max(nowMs + svidTtlMs, longerUntilMs)
}

/** What stands in the way of trusting only one authority again. */
function endObstacle(rotation: Rotation, context: StepContext): Obstacle | undefined {
  return laggards(context, ({ informed, renewed }) => !informed || !renewed) ?? absentees(rotation, context)
}

function laggards({ fleet }: StepContext, lags: (follower: Follower) => boolean): Obstacle | undefined {
  const followers = fleet.followers.filter(lags)
  return followers.length === 0 ? undefined : { kind: 'lagging', followers }
}

/** SPIFFE Federation §5.2.2: nobody tells when other trust domains have looked, only how often they do. */
function outsiders({ sinceMs }: Rotation, context: StepContext): Obstacle | undefined {
  const untilMs = sinceMs + (context.publishMs ?? 0)
  if (context.nowMs >= untilMs || context.abandonAbsent === true) return undefined
  return { kind: 'unpublished', untilMs }
}

function absentees({ absentUntilMs }: Rotation, context: StepContext): Obstacle | undefined {
  if (context.nowMs >= absentUntilMs) return undefined
  if (context.abandonAbsent !== true) return { kind: 'absent', untilMs: absentUntilMs }
  return context.fleet.settled ? undefined : { kind: 'unsettled' }
}
