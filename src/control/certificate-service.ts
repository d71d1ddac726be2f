import { create } from '@bufbuild/protobuf'
import { durationFromMs, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt'
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import type { Evidence } from '../ca/attestation.ts'
import type { Issuer } from '../ca/issuer.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { TrustBundles } from '../identity/trust-bundle.ts'
import type { Logger } from '../telemetry/log.ts'
import { type ConnectionPeer, peerOf } from './connection-peer.ts'
import {
  type IssueJwtSvidRequest,
  type IssueJwtSvidResponse,
  IssueJwtSvidResponseSchema,
  type IssueSvidRequest,
  type IssueSvidResponse,
  IssueSvidResponseSchema,
} from './gen/handfast_pb.ts'
import { statusOf } from './grpc-status.ts'
import { encodeBundles } from './message-codec.ts'
import type { Timers } from './timers.ts'

export interface CertificateServiceOptions {
  readonly issuer: Pick<Issuer, 'issue' | 'issueToken'>
  /** What callers shall trust now. */
  readonly bundles: () => TrustBundles
  /** What is revoked now. */
  readonly revocations: () => Revocations | undefined
  readonly timers: Timers
  readonly log: Logger
}

/** Certificates begin 5 minutes early: a clock that is further behind than a part of that is worth a warning. */
const NOTABLE_SKEW_MS = 60_000

/** Answers IssueSvid. */
export function issueSvidHandler(
  options: CertificateServiceOptions,
): (
  call: ServerUnaryCall<IssueSvidRequest, IssueSvidResponse>,
  reply: sendUnaryData<IssueSvidResponse>,
) => void {
  return (call, reply) => {
    issueSvid(call.request, { peer: peerOf(call), from: call.getPeer() }, options).then(
      (response) => reply(null, response),
      (error: unknown) => {
        options.log.warn('Refused to issue a certificate', { from: call.getPeer(), error })
        reply(statusOf(error))
      },
    )
  }
}

async function issueSvid(
  { csr, proof, clientTime, forWorkload }: IssueSvidRequest,
  { peer, from }: { readonly peer: ConnectionPeer | undefined; readonly from: string },
  { issuer, bundles, revocations, timers, log }: CertificateServiceOptions,
): Promise<IssueSvidResponse> {
  const nowMs = timers.nowMs()
  const clientBehindMs = clientTime === undefined ? undefined : nowMs - timestampMs(clientTime)
  const { caller, chain, expiresAtMs } = await issuer.issue(
    csr,
    evidenceOf(proof, { peer, forWorkload, revocations: revocations() }),
    {
      nowMs,
      address: hostOf(from),
    },
  )
  if (clientBehindMs !== undefined && Math.abs(clientBehindMs) > NOTABLE_SKEW_MS)
    log.warn('The clock of a caller differs', { spiffeId: caller.id.toString(), from, clientBehindMs })
  log.info('Issued a certificate', {
    spiffeId: caller.id.toString(),
    proof: caller.proof,
    serialNumber: chain[0].serialNumber,
    expiresAt: new Date(expiresAtMs),
  })
  return create(IssueSvidResponseSchema, {
    certificateChain: chain.map(({ der }) => der),
    trustBundles: encodeBundles(bundles()),
    expiresAt: timestampFromMs(expiresAtMs),
    serverTime: timestampFromMs(timers.nowMs()),
    ...(clientBehindMs !== undefined && { clientBehind: durationFromMs(clientBehindMs) }),
  })
}

/** Answers IssueJwtSvid. */
export function issueJwtSvidHandler(
  options: CertificateServiceOptions,
): (
  call: ServerUnaryCall<IssueJwtSvidRequest, IssueJwtSvidResponse>,
  reply: sendUnaryData<IssueJwtSvidResponse>,
) => void {
  const { issuer, revocations, timers, log } = options
  return (call, reply) => {
    const from = call.getPeer()
    const evidence = peerEvidence({ peer: peerOf(call), revocations: revocations() })
    issuer.issueToken(call.request.audience, evidence, { nowMs: timers.nowMs(), address: hostOf(from) }).then(
      ({ token, expiresAtMs }) =>
        reply(null, create(IssueJwtSvidResponseSchema, { token, expiresAt: timestampFromMs(expiresAtMs) })),
      (error: unknown) => {
        log.warn('Refused to issue a token', { from, error })
        reply(statusOf(error))
      },
    )
  }
}

/** What is known of the connection of a call. */
interface CallerConnection {
  readonly peer: ConnectionPeer | undefined
  /** What is revoked now. */
  readonly revocations: Revocations | undefined
  /** Whether the certificate is for the workload beside the caller. @default false */
  readonly forWorkload?: boolean
}

/** A token that was sent is what the caller wants to be judged by; without one its connection speaks for it. */
function evidenceOf(proof: IssueSvidRequest['proof'], connection: CallerConnection): Evidence | undefined {
  switch (proof.case) {
    case 'joinToken':
      return { kind: 'join-token', token: proof.value }
    case 'oidcToken':
      return { kind: 'oidc', token: proof.value }
    case 'serviceAccountToken':
      return { kind: 'kubernetes', token: proof.value }
    case undefined:
      return peerEvidence(connection)
  }
}

/** What the certificate that a connection has shown proves; undefined where it has shown none. */
export function peerEvidence({
  peer,
  revocations,
  forWorkload = false,
}: CallerConnection): Extract<Evidence, { kind: 'peer-svid' }> | undefined {
  if (peer === undefined) return undefined
  const { id, serialNumber, expiresAtMs } = peer
  return {
    kind: 'peer-svid',
    id,
    serialNumber,
    expiresAtMs,
    forWorkload,
    revoked: peer.revokedBy(revocations),
  }
}

/** Of `host:port`. */
export function hostOf(from: string): string {
  return from.slice(0, from.lastIndexOf(':'))
}
