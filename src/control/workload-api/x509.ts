import { create } from '@bufbuild/protobuf'
import type { ServerWritableStream } from '@grpc/grpc-js'
import { concat } from '../../bytes/bytes.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import type { TrustBundles } from '../../identity/trust-bundle.ts'
import type { Certificate } from '../../pki/certificate.ts'
import {
  type X509BundlesRequest,
  type X509BundlesResponse,
  X509BundlesResponseSchema,
  type X509SVIDRequest,
  type X509SVIDResponse,
  X509SVIDResponseSchema,
  X509SVIDSchema,
} from '../gen/workload-api_pb.ts'
import type { ValidIdentity } from './identity-feed.ts'
import { stateStreamHandler, type StateStreamOptions } from './state-stream.ts'

/** Answers FetchX509SVID: the identity with its key, and whom to trust. */
export function x509SvidHandler(
  options: StateStreamOptions,
): (call: ServerWritableStream<X509SVIDRequest, X509SVIDResponse>) => void {
  return stateStreamHandler(
    {
      render: encodeIdentity,
      differ: (one, other) => one.svid !== other.svid || !one.bundles.equals(other.bundles),
    },
    options,
  )
}

/** Answers FetchX509Bundles: whom to trust, for callers that only verify. */
export function x509BundlesHandler(
  options: StateStreamOptions,
): (call: ServerWritableStream<X509BundlesRequest, X509BundlesResponse>) => void {
  return stateStreamHandler(
    {
      render: ({ bundles }) => create(X509BundlesResponseSchema, { bundles: encodeBundles(bundles) }),
      differ: (one, other) => !one.bundles.equals(other.bundles),
    },
    options,
  )
}

/** The message for an identity. */
export function encodeIdentity({ svid, bundles }: ValidIdentity): X509SVIDResponse {
  const { [idOf(svid.id.trustDomain)]: bundle, ...federatedBundles } = encodeBundles(bundles)
  return create(X509SVIDResponseSchema, {
    svids: [
      create(X509SVIDSchema, {
        spiffeId: svid.id.toString(),
        x509Svid: derOf(svid.chain),
        x509SvidKey: svid.key.exportPkcs8(),
        ...(bundle !== undefined && { bundle }),
      }),
    ],
    federatedBundles,
  })
}

function encodeBundles(bundles: TrustBundles): Record<string, Uint8Array> {
  return Object.fromEntries(
    Array.from(bundles, ({ trustDomain, anchors }) => [idOf(trustDomain), derOf(anchors)] as const),
  )
}

function idOf(trustDomain: string): string {
  return SpiffeId.ofTrustDomain(trustDomain).toString()
}

function derOf(certificates: readonly Certificate[]): Uint8Array {
  return concat(...certificates.map(({ der }) => der))
}
