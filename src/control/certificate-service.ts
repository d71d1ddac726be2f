import { create } from '@bufbuild/protobuf'
import { timestampFromMs } from '@bufbuild/protobuf/wkt'
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import type { Evidence } from '../ca/attestation.ts'
import type { Issuer } from '../ca/issuer.ts'
import type { TrustBundles } from '../identity/trust-bundle.ts'
import type { Logger } from '../telemetry/log.ts'
import { type ConnectionPeer, peerOf } from './connection-peer.ts'
import { type IssueSvidRequest, type IssueSvidResponse, IssueSvidResponseSchema } from './gen/handfast_pb.ts'
import { statusOf } from './grpc-status.ts'
import { encodeBundles } from './message-codec.ts'
import type { Timers } from './timers.ts'

export interface CertificateServiceOptions {
  readonly issuer: Pick<Issuer, 'issue'>
  /** What callers shall trust now. */
  readonly bundles: () => TrustBundles
  readonly timers: Timers
  readonly log: Logger
}

/** Answers IssueSvid. */
export function issueSvidHandler(
  options: CertificateServiceOptions,
): (
  call: ServerUnaryCall<IssueSvidRequest, IssueSvidResponse>,
  reply: sendUnaryData<IssueSvidResponse>,
) => void {
  return (call, reply) => {
    issueSvid(call.request, peerOf(call), options).then(
      (response) => reply(null, response),
      (error: unknown) => {
        options.log.warn('Refused to issue a certificate', { from: call.getPeer(), error })
        reply(statusOf(error))
      },
    )
  }
}

async function issueSvid(
  { csr, joinToken }: IssueSvidRequest,
  peer: ConnectionPeer | undefined,
  { issuer, bundles, timers, log }: CertificateServiceOptions,
): Promise<IssueSvidResponse> {
  const nowMs = timers.nowMs()
  const { caller, chain, expiresAtMs } = await issuer.issue(csr, evidenceOf(joinToken, peer), { nowMs })
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
  })
}

/** A token that was sent is what the caller wants to be judged by; without one its connection speaks for it. */
function evidenceOf(joinToken: string, peer: ConnectionPeer | undefined): Evidence | undefined {
  if (joinToken !== '') return { kind: 'join-token', token: joinToken }
  return peer === undefined ? undefined : { kind: 'peer-svid', id: peer.id, expiresAtMs: peer.expiresAtMs }
}
