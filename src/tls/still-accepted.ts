import { CertificateError } from '../pki/errors.ts'
import type { VerificationContext, VerifiedPeer } from '../pki/verifier.ts'
import type { EndpointOptions, PeerVerifier } from './options.ts'
import type { TicketRefusal } from './session/ticket-refusal.ts'
import type { TraceEvent } from './trace.ts'

/**
 * Why a peer of an earlier handshake would not be accepted any more, if so: resumption saves the proof, not the trust.
 *
 * @param verifier of certificates
 */
export function judgeAgain(
  peer: VerifiedPeer,
  verifier: PeerVerifier | undefined,
  { rawPublicKeyVerifier }: EndpointOptions,
  context: VerificationContext,
): TicketRefusal | undefined {
  const judge = peer.rawPublicKey === undefined ? verifier : rawPublicKeyVerifier
  if (judge?.reverify === undefined) return { reason: 'no_verifier' }
  try {
    judge.reverify(peer, context)
    return undefined
  } catch (thrown) {
    if (thrown instanceof CertificateError) return { reason: 'peer_rejected', error: thrown }
    throw thrown
  }
}

/** Whom an earlier handshake has proven, for the trace: that was judged again. */
export function rejudged({
  name,
  expiresAtMs,
  path,
}: VerifiedPeer): Pick<
  Extract<TraceEvent, { kind: 'identity' }>,
  'name' | 'expiresAtMs' | 'path' | 'rejudged'
> {
  return { name, expiresAtMs, path, rejudged: true }
}
