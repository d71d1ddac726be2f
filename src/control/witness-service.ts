import { create } from '@bufbuild/protobuf'
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import type { CertificateWitness } from '../ca/certificate-witness.ts'
import { CaError } from '../ca/errors.ts'
import { messageOf } from '../errors.ts'
import type { Revocations } from '../identity/revocations.ts'
import { parseCertificate } from '../pki/certificate.ts'
import type { Logger } from '../telemetry/log.ts'
import { peerOf } from './connection-peer.ts'
import { ControlError } from './errors.ts'
import {
  type ReportCertificatesRequest,
  type ReportCertificatesResponse,
  ReportCertificatesResponseSchema,
} from './gen/handfast_pb.ts'
import { statusOf } from './grpc-status.ts'

/** What proxies send at most; each is a signature to check, for a certificate that is not known. */
const MAX_LEAVES = 64
const MAX_ISSUERS = 16

export interface WitnessServiceOptions {
  readonly witness: Pick<CertificateWitness, 'report'>
  /** What is revoked now. */
  readonly revocations: () => Revocations | undefined
  readonly log: Logger
}

/** Answers ReportCertificates. */
export function reportCertificatesHandler({
  witness,
  revocations,
  log,
}: WitnessServiceOptions): (
  call: ServerUnaryCall<ReportCertificatesRequest, ReportCertificatesResponse>,
  reply: sendUnaryData<ReportCertificatesResponse>,
) => void {
  return (call, reply) => {
    try {
      const peer = peerOf(call)
      if (peer === undefined) throw new CaError('CA_NO_EVIDENCE', 'Reports need a client certificate')
      const revoked = peer.revokedBy(revocations())
      if (revoked !== undefined)
        throw new CaError('CA_REVOKED', `The certificate of ${peer.id.toString()} is revoked: ${revoked}`)
      witness.report({ reportedBy: peer.id.toString(), ...decodeReport(call.request) })
      reply(null, create(ReportCertificatesResponseSchema))
    } catch (error) {
      log.warn('Refused a report of certificates', { from: call.getPeer(), error })
      reply(statusOf(error))
    }
  }
}

/** The certificates in a report, read and not verified. @throws ControlError CONTROL_PROTOCOL */
export function decodeReport({ certificates, issuers }: ReportCertificatesRequest): {
  readonly leaves: readonly ReturnType<typeof parseCertificate>[]
  readonly issuers: readonly ReturnType<typeof parseCertificate>[]
} {
  if (certificates.length > MAX_LEAVES || issuers.length > MAX_ISSUERS)
    throw new ControlError(
      'CONTROL_PROTOCOL',
      `A report came with ${certificates.length} certificates and ${issuers.length} issuers`,
    )
  try {
    return { leaves: certificates.map(parseCertificate), issuers: issuers.map(parseCertificate) }
  } catch (error) {
    throw new ControlError(
      'CONTROL_PROTOCOL',
      `A reported certificate is not readable: ${messageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}
