import type { AttestedCaller, Attestor, Evidence } from './attestation.ts'
import { CaError } from './errors.ts'

/**
 * Proves a caller by the X.509-SVID of its connection, which the handshake verified: so a workload renews for as
 * long as it keeps renewing, and its join token may expire.
 */
export class PeerSvidAttestor implements Attestor<'peer-svid'> {
  /** @throws CaError CA_PEER_EXPIRED: a connection outlives the certificate that opened it; CA_REVOKED */
  async attest(
    { id, serialNumber, expiresAtMs, forWorkload, revoked }: Extract<Evidence, { kind: 'peer-svid' }>,
    { nowMs }: { readonly nowMs: number },
  ): Promise<AttestedCaller> {
    if (nowMs >= expiresAtMs) {
      const ended = new Date(expiresAtMs).toISOString()
      throw new CaError(
        'CA_PEER_EXPIRED',
        `The certificate of ${id.toString()} expired at ${ended}; connect again`,
      )
    }
    if (revoked !== undefined)
      throw new CaError('CA_REVOKED', `The certificate of ${id.toString()} is revoked: ${revoked}`)
    if (forWorkload === true)
      return { id, proof: `peer-svid:${serialNumber} for its workload`, beside: serialNumber }
    return { id, proof: 'peer-svid', renews: serialNumber }
  }
}
