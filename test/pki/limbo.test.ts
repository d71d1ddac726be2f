import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'
import type { CryptoProvider } from '../../src/crypto/provider.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { CertificateError } from '../../src/pki/errors.ts'
import { checkHostName } from '../../src/pki/host-verifier.ts'
import { validatePath } from '../../src/pki/path.ts'
import { decodePem } from '../../src/pki/pem.ts'

const LIMBO = join(import.meta.dirname, '../../../shared/vectors/x509-limbo/limbo.json')
const skip = existsSync(LIMBO) ? false : `${LIMBO} is absent`

/** For cases without a time of their own: those certificates are valid from 1970 to 2969. */
const DEFAULT_TIME = '2026-01-01T00:00:00Z'

interface PeerName {
  readonly kind: 'DNS' | 'IP' | 'RFC822'
  readonly value: string
}

interface LimboCase {
  readonly id: string
  readonly validation_kind: 'SERVER' | 'CLIENT'
  readonly trusted_certs: readonly string[]
  readonly untrusted_intermediates: readonly string[]
  readonly peer_certificate: string
  readonly validation_time: string | null
  readonly expected_result: 'SUCCESS' | 'FAILURE'
  readonly expected_peer_name: PeerName | null
  readonly expected_peer_names: readonly PeerName[]
  readonly max_chain_depth: number | null
}

const REVOCATION =
  'No lists of revoked certificates: the mesh lives on short validity and pushes revocations itself'
const KEY_IDENTIFIERS =
  'RFC 5280 asks authorities to add key identifiers, which ease building paths; relying on them adds no safety, and hand-made certificates lack them'
const ROOT_PROFILE =
  'A rule of the CA/Browser Forum on how public roots describe themselves; an anchor is trusted as given'
const COMMON_NAME = 'A rule of the CA/Browser Forum on common names; we never read them'
const TLS_SIGNS =
  'TLS 1.3 has the leaf sign, so a keyUsage must have digitalSignature (RFC 8446 §4.4.2.2); this leaf lacks it'
const NONCRITICAL_CONSTRAINTS =
  'Constraints are enforced, critical or not, as the twin case webpki::nc::permitted-dns-match-noncritical expects'
const LEAF_PROFILE = 'A rule of the CA/Browser Forum on public leaves, which RFC 5280 does not have'
const PUBLIC_SUFFIXES = 'Needs the list of public suffixes; only `*.` before a single label is refused'

/** Where we differ from what limbo expects, and why that is what we want. */
const DEVIATIONS: Readonly<Record<string, string>> = {
  'crl::revoked-certificate-with-crl': REVOCATION,
  'crl::crlnumber-missing': REVOCATION,
  'crl::crlnumber-critical': REVOCATION,
  'crl::issuer-missing-crlsign': REVOCATION,
  'pathlen::validation-ignores-pathlen-in-leaf': TLS_SIGNS,
  'rfc5280::aki::leaf-missing-aki': KEY_IDENTIFIERS,
  'rfc5280::aki::intermediate-missing-aki': KEY_IDENTIFIERS,
  'rfc5280::aki::cross-signed-root-missing-aki': KEY_IDENTIFIERS,
  'rfc5280::nc::permitted-dns-match-noncritical': NONCRITICAL_CONSTRAINTS,
  'rfc5280::ski::root-missing-ski': KEY_IDENTIFIERS,
  'rfc5280::ski::intermediate-missing-ski': KEY_IDENTIFIERS,
  'rfc5280::ca-as-leaf': TLS_SIGNS,
  'webpki::aki::root-with-aki-missing-keyidentifier': ROOT_PROFILE,
  'webpki::aki::root-with-aki-authoritycertissuer': ROOT_PROFILE,
  'webpki::aki::root-with-aki-authoritycertserialnumber': ROOT_PROFILE,
  'webpki::aki::root-with-aki-all-fields': ROOT_PROFILE,
  'webpki::aki::root-with-aki-ski-mismatch': ROOT_PROFILE,
  'webpki::cn::ipv4-hex-mismatch': COMMON_NAME,
  'webpki::cn::ipv4-leading-zeros-mismatch': COMMON_NAME,
  'webpki::cn::ipv6-uppercase-mismatch': COMMON_NAME,
  'webpki::cn::ipv6-uncompressed-mismatch': COMMON_NAME,
  'webpki::cn::ipv6-non-rfc5952-mismatch': COMMON_NAME,
  'webpki::cn::punycode-not-in-san': COMMON_NAME,
  'webpki::cn::utf8-vs-punycode-mismatch': COMMON_NAME,
  'webpki::cn::not-in-san': COMMON_NAME,
  'webpki::cn::case-mismatch': COMMON_NAME,
  'webpki::eku::ee-anyeku': LEAF_PROFILE,
  'webpki::eku::ee-critical-eku': LEAF_PROFILE,
  'webpki::eku::ee-without-eku': LEAF_PROFILE,
  'webpki::eku::root-has-eku': ROOT_PROFILE,
  'webpki::san::public-suffix-multi-label-wildcard-san': PUBLIC_SUFFIXES,
  'webpki::san::public-suffix-private-namespace-wildcard-san': PUBLIC_SUFFIXES,
  'webpki::san::san-critical-with-nonempty-subject': LEAF_PROFILE,
  'webpki::ee-basicconstraints-ca': LEAF_PROFILE,
}

for (const crypto of [nativeCrypto(), portableCrypto()])
  test(
    `validatePath, ${crypto.name}, agrees with x509-limbo but for the deviations listed`,
    { skip },
    async (t) => {
      const { testcases } = JSON.parse(readFileSync(LIMBO, 'utf8')) as { testcases: readonly LimboCase[] }
      assert.equal(testcases.length, 207)
      const unseen = new Set(Object.keys(DEVIATIONS))
      for (const limbo of testcases) {
        unseen.delete(limbo.id)
        await t.test(limbo.id, () => {
          const verdict = judge(limbo, crypto)
          const agrees = (verdict === undefined) === (limbo.expected_result === 'SUCCESS')
          const said = verdict === undefined ? 'accepted' : `refused: ${verdict.code} ${verdict.message}`
          if (limbo.id in DEVIATIONS) assert.ok(!agrees, `no longer deviates (${said}); take it off the list`)
          else assert.ok(agrees, `limbo expects ${limbo.expected_result}, but it was ${said}`)
        })
      }
      assert.deepEqual([...unseen], [], 'deviations that are no cases')
    },
  )

/** The error that refuses the case, if one does. Anything but a CertificateError fails the test. */
function judge(limbo: LimboCase, crypto: CryptoProvider): CertificateError | undefined {
  try {
    const leaf = parse(limbo.peer_certificate)
    validatePath([leaf, ...limbo.untrusted_intermediates.map(parse)], {
      anchors: limbo.trusted_certs.map(parse),
      nowMs: Date.parse(limbo.validation_time ?? DEFAULT_TIME),
      crypto,
      usage: limbo.validation_kind === 'SERVER' ? 'serverAuth' : 'clientAuth',
      ...(limbo.max_chain_depth === null ? {} : { maxIntermediates: limbo.max_chain_depth }),
    })
    if (limbo.expected_peer_name !== null) checkHostName(leaf, limbo.expected_peer_name.value)
    const emails = limbo.expected_peer_names.filter(({ kind }) => kind === 'RFC822').map(({ value }) => value)
    if (emails.length > 0) assert.deepEqual([...leaf.subjectAltNames.emailAddresses].sort(), emails.sort())
    return undefined
  } catch (error) {
    if (error instanceof CertificateError) return error
    throw error
  }
}

function parse(pem: string): Certificate {
  return parseCertificate(decodePem(pem, 'CERTIFICATE')[0]!)
}
