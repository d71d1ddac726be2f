import type { CryptoProvider } from '../crypto/provider.ts'
import type { CertificateMemory } from '../pki/certificate-memory.ts'
import { svidVerifier } from '../identity/svid-verifier.ts'
import { messageOf } from '../errors.ts'
import type { ClientOptions, ServerOptions } from '../tls/options.ts'
import type { SecuredSession } from '../net/secured.ts'
import type { TraceEvent } from '../tls/trace.ts'
import { ProxyError } from './errors.ts'
import type { MeshView } from './mesh-view.ts'
import type { PeerTarget } from './open-peer.ts'
import type { PeerVerifiers } from './peer-verifiers.ts'
import type { ProxyTickets } from './tickets.ts'

/** What every handshake of the data plane needs. */
export interface TlsServices {
  readonly crypto: CryptoProvider
  /** Wall clock, in milliseconds since the Unix epoch. */
  readonly nowMs: () => number
  /** What is known of peers that were here before. */
  readonly certificates: CertificateMemory
  readonly verifiers: PeerVerifiers
  /** What connections are resumed from; absent where each handshake is to be a full one. */
  readonly tickets: ProxyTickets | undefined
}

type Trace = (event: TraceEvent) => void

/** Our side of a connection to the peer of `target` and nobody else. */
export function clientOptions(
  { crypto, nowMs, certificates, verifiers, tickets }: TlsServices,
  view: MeshView,
  { target, trace }: { readonly target: PeerTarget; readonly trace: Trace },
): ClientOptions {
  return {
    crypto,
    certificates,
    nowMs: connectionClock(nowMs),
    trace,
    credential: view.svid,
    ...(tickets && { tickets: tickets.ofPeer(view, target.ticketsFor ?? target.name) }),
    verifier: verifiers.under(view, target.peer),
  }
}

/** Our side of a connection from anyone whom the trust bundles know; policy decides the rest. */
export function serverOptions(
  { crypto, nowMs, certificates, verifiers, tickets }: TlsServices,
  view: MeshView,
  trace: Trace,
): ServerOptions {
  return {
    crypto,
    certificates,
    nowMs: connectionClock(nowMs),
    trace,
    credential: () => view.svid,
    ...(tickets && { tickets: tickets.forClients(view) }),
    clientVerifier: verifiers.under(view),
    allowAnonymousClient: false,
  }
}

/** A clock for one handshake: the wall clock at its start, and steady, finer steps from there. */
function connectionClock(nowMs: () => number): () => number {
  const startedAtMs = nowMs()
  const origin = performance.now()
  return () => startedAtMs + (performance.now() - origin)
}

/** When the first certificate of a connection ends, ours or the peer's. */
export function proofEndMs({ session, view }: Proof): number {
  return Math.min(view.svid.expiresAtMs, session.peer?.expiresAtMs ?? view.svid.expiresAtMs)
}

/** How much of the time that its certificates have left a connection is used for. */
const USED_LIFE = 0.8

/**
 * When an HTTP connection should take no further request, so that the end of a certificate interrupts none: peers then
 * connect anew, with the certificates that have been renewed in the meantime.
 */
export function retirementMs(proof: Proof, nowMs: number): number {
  return nowMs + (proofEndMs(proof) - nowMs) * USED_LIFE
}

/** A completed handshake and the view it was made under. */
export interface Proof {
  readonly session: SecuredSession
  readonly view: MeshView
}

/** Whether the peer's certificate still leads to an anchor of a newer view, and is not revoked there; why not otherwise. */
export function distrust(
  { crypto, nowMs }: TlsServices,
  { session, view }: Proof,
  newer: MeshView | undefined,
): ProxyError | undefined {
  if (newer === undefined) return undefined
  const sameBundles = newer.bundles === view.bundles
  if (sameBundles && newer.revocations === view.revocations) return undefined
  const { peer, role } = session
  if (peer === undefined) return new ProxyError('PROXY_NO_LONGER_TRUSTED', 'The peer showed no certificate')
  const revoked = newer.revocations.find(peer, crypto)
  if (revoked !== undefined)
    return new ProxyError(
      'PROXY_PEER_REVOKED',
      `${peer.name} is revoked: ${newer.revocations.describe(revoked)}`,
    )
  if (sameBundles) return undefined
  try {
    const verifier = svidVerifier({ bundles: () => newer.bundles, crypto })
    verifier.verify(peer.path, { peerRole: role === 'client' ? 'server' : 'client', nowMs: nowMs() })
    return undefined
  } catch (cause) {
    return new ProxyError(
      'PROXY_NO_LONGER_TRUSTED',
      `${peer.name} is no longer trusted: ${messageOf(cause)}`,
      { cause },
    )
  }
}
