import { messageOf } from '../errors.ts'
import type { X509Svid } from '../identity/svid.ts'
import type { ControlClient, IssuedSvid, IssueRequest } from './client.ts'
import { ControlError } from './errors.ts'
import type { Timers } from './timers.ts'

export interface WorkloadCertifierOptions {
  readonly client: Pick<ControlClient, 'issueSvid'>
  /** The SVID in use, which the client's connections show. */
  readonly current: () => X509Svid | undefined
  /** Reads the token anew; undefined when there is none. */
  readonly token: () => Promise<Omit<IssueRequest, 'csr'> | undefined>
  readonly timers: Timers
}

/**
 * How a workload has its keys certified: by the certificate it has, and where that is missing, has expired or is no
 * longer accepted, by its token.
 *
 * @returns what RenewingIdentity takes as `issue`; it throws ControlError
 */
export function workloadCertifier({
  client,
  current,
  token,
  timers,
}: WorkloadCertifierOptions): (csr: Uint8Array) => Promise<IssuedSvid> {
  const byToken = async (csr: Uint8Array): Promise<IssuedSvid> => {
    const proof = await token()
    if (proof === undefined)
      throw new ControlError('CONTROL_REFUSED', 'There is no token, and no valid certificate to renew with')
    return client.issueSvid({ csr, ...proof })
  }

  return async (csr) => {
    const svid = current()
    if (svid === undefined || svid.expiresAtMs <= timers.nowMs()) return byToken(csr)
    let refusal: unknown
    try {
      return await client.issueSvid({ csr })
    } catch (error) {
      refusal = error
    }
    try {
      return await byToken(csr)
    } catch (error) {
      throw both(refusal, error)
    }
  }
}

function both(byCertificate: unknown, byToken: unknown): unknown {
  if (!(byCertificate instanceof ControlError)) return byCertificate
  const { code, message, refusal } = byCertificate
  return new ControlError(code, `${message}; and with the token: ${messageOf(byToken)}`, {
    cause: byCertificate,
    ...(refusal !== undefined && { refusal }),
  })
}
