import { create } from '@bufbuild/protobuf'
import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt'
import { messageOf } from '../errors.ts'
import { trustBundle, TrustBundles } from '../identity/trust-bundle.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { ControlError } from './errors.ts'
import {
  type IssueSvidResponse,
  type Snapshot,
  SnapshotSchema,
  type TrustBundle as TrustBundleMessage,
  TrustBundleSchema,
} from './gen/handfast_pb.ts'
import type { IssuedSvid } from './client.ts'
import type { StateVersion, VersionedState } from './mesh-state.ts'

/** Longer chains than verifiers accept are not read. */
const MAX_CHAIN = 16

/** Federation has tens of trust domains, rotation a few anchors in each. */
const MAX_BUNDLES = 256
const MAX_ANCHORS = 32

/** The message for a state. */
export function encodeSnapshot({ version, bundles, signerKey, ...rest }: VersionedState): Snapshot {
  const { policies, policyRevision } = rest
  return create(SnapshotSchema, {
    version,
    trustBundles: encodeBundles(bundles),
    policies,
    policyRevision,
    ...(signerKey !== undefined && { signerKey }),
  })
}

/** Which state a snapshot is. @throws ControlError CONTROL_PROTOCOL */
export function decodeVersion({ version }: Snapshot): StateVersion {
  if (version === undefined || version.epoch === '' || version.number === 0)
    throw new ControlError('CONTROL_PROTOCOL', 'A snapshot came without its number')
  return { epoch: version.epoch, number: version.number }
}

/** The state in a snapshot. @throws ControlError CONTROL_PROTOCOL */
export function decodeSnapshot(snapshot: Snapshot, version: StateVersion): VersionedState {
  const { trustBundles, policies, policyRevision, signerKey } = snapshot
  const state = { version, bundles: decodeBundles(trustBundles), policies, policyRevision }
  return signerKey.length === 0 ? state : { ...state, signerKey }
}

/** The messages for trust bundles. */
export function encodeBundles(bundles: TrustBundles): TrustBundleMessage[] {
  return Array.from(bundles, ({ trustDomain, anchors }) =>
    create(TrustBundleSchema, { trustDomain, anchors: anchors.map(({ der }) => der) }),
  )
}

/**
 * A certificate and what came with it, read but not verified.
 *
 * @throws ControlError CONTROL_PROTOCOL
 */
export function decodeIssuedSvid(
  { certificateChain, trustBundles, serverTime }: IssueSvidResponse,
  { sentAtMs, receivedAtMs }: { readonly sentAtMs: number; readonly receivedAtMs: number },
): IssuedSvid {
  if (certificateChain.length === 0 || certificateChain.length > MAX_CHAIN)
    throw new ControlError('CONTROL_PROTOCOL', `A chain of ${certificateChain.length} certificates came`)
  return {
    chain: readable('certificate chain', () => certificateChain.map(parseCertificate)),
    bundles: decodeBundles(trustBundles),
    clockSkewMs: skewOf(serverTime, (sentAtMs + receivedAtMs) / 2),
  }
}

function decodeBundles(messages: readonly TrustBundleMessage[]): TrustBundles {
  // A mesh without anchors trusts nobody: that is no state to be in by someone's mistake.
  if (messages.length === 0 || messages.length > MAX_BUNDLES)
    throw new ControlError('CONTROL_PROTOCOL', `${messages.length} trust bundles came`)
  return readable(
    'trust bundle',
    () =>
      new TrustBundles(
        messages.map(({ trustDomain, anchors }) => {
          if (anchors.length > MAX_ANCHORS)
            throw new RangeError(`${trustDomain} has ${anchors.length} anchors`)
          return trustBundle(trustDomain, anchors.map(parseCertificate))
        }),
      ),
  )
}

function readable<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new ControlError(
      'CONTROL_PROTOCOL',
      `The controller's ${what} is not readable: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}

/** An old controller may not tell its time. */
function skewOf(serverTime: Timestamp | undefined, ownMs: number): number {
  return serverTime === undefined ? 0 : timestampMs(serverTime) - ownMs
}
