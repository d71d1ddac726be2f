import { CertificateError } from '../pki/errors.ts'
import type { VerificationContext, VerifiedPeer } from '../pki/verifier.ts'
import type { EndpointOptions, PeerVerifier } from './options.ts'

/**
 * Whether a peer of an earlier handshake would still be accepted: resumption saves the proof, not the trust.
 *
 * @param verifier of certificates
 */
export function isStillAccepted(
  peer: VerifiedPeer,
  verifier: PeerVerifier | undefined,
  { rawPublicKeyVerifier }: EndpointOptions,
  context: VerificationContext,
): boolean {
  const judge = peer.rawPublicKey === undefined ? verifier : rawPublicKeyVerifier
  if (judge?.reverify === undefined) return false
  try {
    judge.reverify(peer, context)
    return true
  } catch (thrown) {
    if (thrown instanceof CertificateError) return false
    throw thrown
  }
}
