import { create } from '@bufbuild/protobuf'
import { type Timestamp, timestampMs } from '@bufbuild/protobuf/wkt'
import { messageOf } from '../errors.ts'
import { MAX_REVOCATIONS, plainSerialNumber, Revocations } from '../identity/revocations.ts'
import { trustBundle, TrustBundles } from '../identity/trust-bundle.ts'
import { SpiffeId } from '../identity/spiffe-id.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { ControlError } from './errors.ts'
import {
  type IssueSvidResponse,
  JwtAuthoritySchema,
  KeySetSchema,
  type Revocations as RevocationsMessage,
  RevocationsSchema,
  type Snapshot,
  SnapshotSchema,
  type TrustBundle as TrustBundleMessage,
  TrustBundleSchema,
} from './gen/handfast_pb.ts'
import type { IssuedSvid } from './client.ts'
import type { StateVersion, VersionedState } from './mesh-state.ts'

/** Longer chains than verifiers accept are not read. */
const MAX_CHAIN = 16

/** Federation has tens of trust domains, rotation a few anchors and keys in each; others may have more (bundle-document.ts). */
const MAX_BUNDLES = 256
const MAX_ANCHORS = 256

/** RFC 5280 §4.1.2.2. */
const MAX_SERIAL_BYTES = 20

const SHA256_BYTES = 32

/** A mesh has a few issuers of tokens. */
const MAX_KEY_SETS = 256

/** The message for a state. */
export function encodeSnapshot({
  version,
  bundles,
  signerKey,
  revocations,
  keySets,
  ...rest
}: VersionedState): Snapshot {
  const { policies, policyRevision } = rest
  return create(SnapshotSchema, {
    version,
    trustBundles: encodeBundles(bundles),
    policies,
    policyRevision,
    ...(signerKey !== undefined && { signerKey }),
    ...(revocations !== undefined && { revocations: encodeRevocations(revocations) }),
    keySets: Array.from(keySets ?? [], ([name, jwks]) => create(KeySetSchema, { name, jwks })),
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
  const { trustBundles, policies, policyRevision, signerKey, revocations, keySets } = snapshot
  if (keySets.length > MAX_KEY_SETS)
    throw new ControlError('CONTROL_PROTOCOL', `${keySets.length} key sets came`)
  return {
    version,
    bundles: decodeBundles(trustBundles),
    policies,
    policyRevision,
    ...(signerKey.length > 0 && { signerKey }),
    ...(revocations !== undefined && { revocations: decodeRevocations(revocations) }),
    keySets: new Map(keySets.map(({ name, jwks }) => [name, jwks])),
  }
}

function encodeRevocations({ list }: Revocations): RevocationsMessage {
  const { revision, trustDomain, serialNumbers, spiffeIds, issuerKeys } = list
  return create(RevocationsSchema, {
    revision: BigInt(revision),
    trustDomain,
    serialNumbers: serialNumbers.map((hex) => Uint8Array.fromHex(hex.length % 2 === 0 ? hex : `0${hex}`)),
    spiffeIds: [...spiffeIds],
    issuerKeys: issuerKeys.map((hex) => Uint8Array.fromHex(hex)),
  })
}

function decodeRevocations(message: RevocationsMessage): Revocations {
  const { revision, trustDomain, serialNumbers, spiffeIds, issuerKeys } = message
  const count = serialNumbers.length + spiffeIds.length + issuerKeys.length
  if (count > MAX_REVOCATIONS) throw new ControlError('CONTROL_PROTOCOL', `${count} revocations came`)
  if (revision > BigInt(Number.MAX_SAFE_INTEGER))
    throw new ControlError('CONTROL_PROTOCOL', `Revocations came with the revision ${revision}`)
  return readable(
    'list of revocations',
    () =>
      new Revocations({
        revision: Number(revision),
        trustDomain,
        serialNumbers: serialNumbers.map((bytes) => plainSerialNumber(hexOf(bytes, 1, MAX_SERIAL_BYTES))),
        spiffeIds: spiffeIds.map((text) => SpiffeId.parse(text).toString()),
        issuerKeys: issuerKeys.map((bytes) => hexOf(bytes, SHA256_BYTES, SHA256_BYTES)),
      }),
  )
}

function hexOf(bytes: Uint8Array, minBytes: number, maxBytes: number): string {
  if (bytes.length >= minBytes && bytes.length <= maxBytes) return bytes.toHex()
  throw new RangeError(`an entry has ${bytes.length} bytes`)
}

/** The messages for trust bundles. */
export function encodeBundles(bundles: TrustBundles): TrustBundleMessage[] {
  return Array.from(bundles, ({ trustDomain, anchors, jwtAuthorities }) =>
    create(TrustBundleSchema, {
      trustDomain,
      anchors: anchors.map(({ der }) => der),
      jwtAuthorities: jwtAuthorities.map(({ keyId, spki }) =>
        create(JwtAuthoritySchema, { keyId, publicKey: spki }),
      ),
    }),
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
        messages.map(({ trustDomain, anchors, jwtAuthorities }) => {
          for (const { length } of [anchors, jwtAuthorities])
            if (length > MAX_ANCHORS) throw new RangeError(`${trustDomain} has ${length} anchors or keys`)
          return trustBundle(
            trustDomain,
            anchors.map(parseCertificate),
            jwtAuthorities.map(({ keyId, publicKey }) => ({ keyId, spki: publicKey })),
          )
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
