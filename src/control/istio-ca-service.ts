import { create } from '@bufbuild/protobuf'
import type { Metadata, sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js'
import { utf8 } from '../bytes/bytes.ts'
import type { Evidence } from '../ca/attestation.ts'
import { decodeCsrPem } from '../ca/csr.ts'
import { CaError } from '../ca/errors.ts'
import type { Revocations } from '../identity/revocations.ts'
import { encodePem } from '../pki/pem.ts'
import { type CertificateServiceOptions, hostOf, peerEvidence } from './certificate-service.ts'
import { peerOf } from './connection-peer.ts'
import {
  type IstioCertificateRequest,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from './gen/istio-ca_pb.ts'
import { statusOf } from './grpc-status.ts'

export interface IstioCaOptions extends CertificateServiceOptions {
  /** Whose bundle it is that callers are given. */
  readonly trustDomain: string
}

/**
 * Answers CreateCertificate. Who the caller is comes from its token, or from the certificate that it has shown; a name in the
 * request must be the same.
 */
export function createCertificateHandler(
  options: IstioCaOptions,
): (
  call: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
  reply: sendUnaryData<IstioCertificateResponse>,
) => void {
  return (call, reply) => {
    createCertificate(call, options).then(
      (response) => reply(null, response),
      (error: unknown) => {
        options.log.warn('Refused to issue a certificate', { from: call.getPeer(), error })
        reply(statusOf(error))
      },
    )
  }
}

async function createCertificate(
  call: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
  { issuer, bundles, revocations, trustDomain, timers, log }: IstioCaOptions,
): Promise<IstioCertificateResponse> {
  const { csr, validityDuration } = call.request
  const { caller, chain, expiresAtMs } = await issuer.issue(requestOf(csr), evidenceOf(call, revocations()), {
    nowMs: timers.nowMs(),
    address: hostOf(call.getPeer()),
    // What is not said, or makes no sense, is what is usual.
    ttlMs: validityDuration > 0n ? Number(validityDuration) * 1000 : undefined,
  })
  log.info('Issued a certificate', {
    spiffeId: caller.id.toString(),
    proof: caller.proof,
    serialNumber: chain[0].serialNumber,
    expiresAt: new Date(expiresAtMs),
  })
  const anchors = bundles().lookup(trustDomain)?.anchors ?? []
  return create(IstioCertificateResponseSchema, {
    certChain: [
      ...chain.map(({ der }) => encodePem('CERTIFICATE', der)),
      // Callers take the last element for what to trust, however many certificates that is.
      anchors.map(({ der }) => encodePem('CERTIFICATE', der)).join(''),
    ],
  })
}

/** A token that was sent is what the caller wants to be judged by; without one its connection speaks for it. */
function evidenceOf(
  call: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
  revocations: Revocations | undefined,
): Evidence | undefined {
  const token = bearerToken(call.metadata)
  return token === undefined ? peerEvidence({ peer: peerOf(call), revocations }) : { kind: 'istio', token }
}

/** RFC 6750 §2.1. Several headers, or another scheme, are no token: what came is judged as one, and refused on the record. */
function bearerToken(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization').map(String)
  if (values.length === 0) return undefined
  const [, token] = /^Bearer +(\S+)$/i.exec(values.length === 1 ? values[0]! : '') ?? []
  return token ?? values.join()
}

/** What is no PEM is judged as if it were DER, and refused on the record. */
function requestOf(csr: string): Uint8Array {
  try {
    return decodeCsrPem(csr)
  } catch (error) {
    if (error instanceof CaError) return utf8(csr)
    throw error
  }
}
