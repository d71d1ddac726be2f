import { PolicySet } from '../../authz/policy-set.ts'
import { equalBytes } from '../../bytes/bytes.ts'
import { adoptNativeKey, lendNativeKey } from '../../crypto/native-keys.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { parseX509Svid, type X509Svid } from '../../identity/svid.ts'
import { Revocations } from '../../identity/revocations.ts'
import { trustBundle, TrustBundles } from '../../identity/trust-bundle.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { workloadOf } from '../authorize.ts'
import type { MeshView, MeshViews } from '../mesh-view.ts'
import { type KeySets, RequestAuthenticator } from '../request-authenticator.ts'
import type { PackedBundle, PackedSvid, PackedView } from './messages.ts'

/** Packs one view after the other for one thread, each without what has not changed since the one before. */
export class ViewPacker {
  #last: MeshView | undefined

  pack(number: number, view: MeshView): PackedView {
    const last = this.#last
    this.#last = view
    const samePolicy = last?.policy === view.policy && last.svid.id.equals(view.svid.id)
    return {
      number,
      svid: packSvid(view.svid),
      ...(last?.bundles !== view.bundles && { bundles: packBundles(view.bundles) }),
      ...(last?.revocations !== view.revocations && { revocations: view.revocations.list }),
      ...(last?.keySets !== view.keySets && { keySets: view.keySets }),
      ...(!samePolicy && {
        policy: {
          revision: view.policy.revision,
          trustDomain: view.policy.trustDomain,
          resources: view.policy.selectedFor(workloadOf(view.svid.id)),
        },
      }),
    }
  }
}

/**
 * Puts a view that came from the main thread to use, as a whole or not at all.
 *
 * @throws HandfastError for what cannot be read: the views stay as they are
 */
export function adoptView(
  views: MeshViews,
  { svid, bundles, policy, revocations, keySets: sentKeySets }: PackedView,
  { newId, crypto }: { readonly newId: () => string; readonly crypto: CryptoProvider },
): void {
  const current = views.current
  const own = unpackSvid(svid, current?.svid)
  const trusted = bundles === undefined ? current?.bundles : unpackBundles(bundles, current?.bundles)
  const rules =
    policy === undefined
      ? current?.policy
      : new PolicySet(policy.resources, { revision: policy.revision, trustDomain: policy.trustDomain, newId })
  if (trusted === undefined || rules === undefined)
    throw new TypeError('The first view of the mesh came without bundles or without policy')
  const keySets = sentKeySets ?? current?.keySets ?? new Map()
  views.publish({
    svid: own,
    bundles: trusted,
    policy: rules,
    revocations: revocations === undefined ? views.revocations : new Revocations(revocations),
    keySets,
    authenticator: authenticatorOf(rules, { keySets, current, crypto }),
  })
}

/** The current one where nothing has changed for it, so that what it has verified stays verified. */
function authenticatorOf(
  { resources: { requestAuthentications } }: PolicySet,
  {
    keySets,
    current,
    crypto,
  }: { readonly keySets: KeySets; readonly current: MeshView | undefined; readonly crypto: CryptoProvider },
): RequestAuthenticator {
  const isSame =
    current?.authenticator !== undefined &&
    current.keySets === keySets &&
    JSON.stringify(current.policy.resources.requestAuthentications) === JSON.stringify(requestAuthentications)
  return isSame
    ? current.authenticator
    : new RequestAuthenticator(requestAuthentications, { keySets, crypto })
}

function packSvid({ chain, key }: X509Svid): PackedSvid {
  return { chain: chain.map(({ der }) => Uint8Array.from(der)), key: lendNativeKey(key) }
}

/** What connections are verified with; keys for JWT-SVIDs stay where those are asked for. */
function packBundles(bundles: TrustBundles): PackedBundle[] {
  return Array.from(bundles)
    .filter(({ anchors }) => anchors.length > 0)
    .map(({ trustDomain, anchors }) => ({
      trustDomain,
      anchors: anchors.map(({ der }) => Uint8Array.from(der)),
    }))
}

/** The current one where it is the same, so that nothing that rests on it is taken to have changed. */
function unpackSvid({ chain, key }: PackedSvid, current: X509Svid | undefined): X509Svid {
  if (current !== undefined && sameDer(chain, current.chain)) return current
  return parseX509Svid(chain.map(parseCertificate), adoptNativeKey(key))
}

function unpackBundles(bundles: readonly PackedBundle[], current: TrustBundles | undefined): TrustBundles {
  const isSame =
    current !== undefined &&
    current.trustDomains.length === bundles.length &&
    bundles.every(({ trustDomain, anchors }) => sameDer(anchors, current.lookup(trustDomain)?.anchors ?? []))
  if (isSame) return current
  return new TrustBundles(
    bundles.map(({ trustDomain, anchors }) => trustBundle(trustDomain, anchors.map(parseCertificate))),
  )
}

function sameDer(
  ders: readonly Uint8Array[],
  certificates: readonly { readonly der: Uint8Array }[],
): boolean {
  return (
    ders.length === certificates.length &&
    ders.every((der, index) => equalBytes(der, certificates[index]!.der))
  )
}
