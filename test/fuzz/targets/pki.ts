import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js'
import { concat, equalBytes, utf8 } from '../../../src/bytes/bytes.ts'
import { CryptoError } from '../../../src/crypto/errors.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import { decodePkcs8, encodeMlDsaPkcs8 } from '../../../src/crypto/pkcs8.ts'
import { portableCrypto } from '../../../src/crypto/portable-provider.ts'
import type { KeyKind, PrivateKey } from '../../../src/crypto/provider.ts'
import { parseX509Svid, svidIdentity } from '../../../src/identity/svid.ts'
import { trustBundle } from '../../../src/identity/trust-bundle.ts'
import { parseSubjectPublicKey } from '../../../src/pki/algorithms.ts'
import { parseCertificate } from '../../../src/pki/certificate.ts'
import { parseCertificateList } from '../../../src/pki/certificate-list.ts'
import { DerReader, Tag } from '../../../src/pki/der.ts'
import { DistinguishedName } from '../../../src/pki/distinguished-name.ts'
import { CertificateError } from '../../../src/pki/errors.ts'
import { hostnameVerifier } from '../../../src/pki/host-verifier.ts'
import { certificateLabel } from '../../../src/pki/label.ts'
import { decodePem, encodePem, readPem } from '../../../src/pki/pem.ts'
import { decodePrivateKeyPem, encodePrivateKeyPem } from '../../../src/pki/private-key.ts'
import { readTime } from '../../../src/pki/time.ts'
import type { Minted } from '../../support/certificates.ts'
import { mintLeaf, mintSvid } from '../../support/certificates.ts'
import { CLIENT_ID, NOW_MS, newKey, verifierFor, type Workloads } from '../../support/tls-workloads.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'
import { requestTargets } from './requests.ts'

const crypto = nativeCrypto()
const KEY_KINDS: readonly KeyKind[] = [
  'ec-p256',
  'ec-p384',
  'ec-p521',
  'ed25519',
  'ml-dsa-44',
  'ml-dsa-65',
  'ml-dsa-87',
  'rsa',
]

/** What certificates are requested for. */
const REQUESTED: ReadonlySet<KeyKind> = new Set(['ec-p256', 'ec-p384', 'ed25519'])

/** Whatever is DER or PEM. */
export async function pkiTargets(workloads: Workloads): Promise<readonly FuzzTarget[]> {
  const { root, intermediate } = workloads.domain
  const keys = KEY_KINDS.map(newKey)
  const [host, ...others] = await Promise.all([
    mintLeaf(intermediate, { nowMs: NOW_MS }),
    ...keys.map((key) => mintSvid(intermediate, CLIENT_ID, { nowMs: NOW_MS, key })),
  ])
  const minted = [workloads.client, host, intermediate, root, ...others]
  const ders = minted.map(({ certificate }) => certificate.der)
  return [
    derTarget(ders),
    certificateTarget(ders, workloads.client.key),
    certificateListTarget(workloads.client.chain.map(({ der }) => der)),
    pathTarget(workloads, [workloads.client, host, ...others]),
    ...requestTargets(
      workloads,
      keys.filter(({ kind }) => REQUESTED.has(kind)),
    ),
    publicKeyTarget(keys),
    privateKeyTarget(keys),
    pemTarget(minted, keys),
  ]
}

/** The readers themselves, whatever the DER is of. */
function derTarget(seeds: readonly Uint8Array[]): FuzzTarget {
  return {
    name: 'der',
    seeds,
    run: (input) =>
      outcomeOf(() => {
        let elements = 0
        const walk = (reader: DerReader): void => {
          while (reader.more) {
            elements++
            const { tag, contents } = reader.any('element')
            if ((tag & 0x20) !== 0) DerReader.readPart(input, contents, { field: 'contents', read: walk })
            else if (elements < MAX_LEAVES)
              for (const read of LEAVES) outcomeOf(() => read(input, contents, tag), CertificateError)
          }
        }
        DerReader.readAll(input, 'input', walk)
        return `read: ${magnitude(elements)}`
      }, CertificateError),
  }
}

/** So many are read as what they may be; all others only as elements. */
const MAX_LEAVES = 200

type LeafReader = (input: Uint8Array, contents: Uint8Array, tag: number) => string

const LEAVES: readonly LeafReader[] = [
  (_input, contents) => DerReader.readAll(contents, 'time', (reader) => String(readTime(reader, 'time'))),
  (_input, contents) =>
    DerReader.readAll(contents, 'name', (reader) => DistinguishedName.read(reader, 'name').text),
  (input) => DistinguishedName.parse(input).text,
  (_input, contents, tag) =>
    tag === Tag.octetString
      ? DerReader.readAll(contents, 'nested', (reader) => String(reader.any('element').tag))
      : '',
]

function certificateTarget(seeds: readonly Uint8Array[], key: PrivateKey): FuzzTarget {
  return {
    name: 'certificate-der',
    seeds,
    run: (input) =>
      outcomeOf(() => {
        const certificate = parseCertificate(input)
        const { subject, issuer, extensions, publicKey } = certificate
        certificateLabel(certificate)
        const shown = [subject.text, issuer.text].join()
        if (/\p{Cc}/u.test(shown)) throw new Violation('A name is shown with control characters in it')
        const kinds = outcomeOf(() => svidIdentity(certificate).path, CertificateError)
        const ours = outcomeOf(() => parseX509Svid([certificate], key).id.path, CertificateError)
        const anchor = outcomeOf(
          () => trustBundle('shop.example', [certificate]).trustDomain,
          CertificateError,
        )
        return `parsed: ${extensions.length} ${publicKey.kind} ${kinds} ${ours} ${anchor}`
      }, CertificateError),
  }
}

/** What is read is the input, whole and in order. */
function certificateListTarget(chain: readonly Uint8Array[]): FuzzTarget {
  return {
    name: 'certificate-list',
    seeds: [concat(...chain), chain[0]!],
    run: (input) =>
      outcomeOf(() => {
        const certificates = parseCertificateList(input)
        if (!equalBytes(concat(...certificates.map(({ der }) => der)), input))
          throw new Violation('The certificates are not those of the input')
        return `read: ${certificates.length}`
      }, CertificateError),
  }
}

/** The input is a leaf under an honest intermediate: no other than the minted ones may hold up. */
function pathTarget(workloads: Workloads, leaves: readonly Minted[]): FuzzTarget {
  const { intermediate, root } = workloads.domain
  const svid = verifierFor(workloads)
  const host = hostnameVerifier({ anchors: [root.certificate], crypto, expectedName: 'localhost' })
  const genuine = new Set(leaves.map(({ certificate }) => certificate.der.toHex()))
  const context = { peerRole: 'server', nowMs: NOW_MS } as const
  return {
    name: 'certificate-path',
    seeds: leaves.map(({ certificate }) => certificate.der),
    run: (input) =>
      outcomeOf(() => {
        const chain = [parseCertificate(input), intermediate.certificate]
        const outcomes = [svid, host].map((verifier) =>
          outcomeOf(() => {
            verifier.verify(chain, context)
            if (!genuine.has(input.toHex()))
              throw new Violation('A certificate that nobody issued was accepted')
            return 'verified'
          }, CertificateError),
        )
        return outcomes.join(' / ').replaceAll(':', '')
      }, CertificateError),
  }
}

/** Both providers must take the same keys. */
function publicKeyTarget(keys: readonly PrivateKey[]): FuzzTarget {
  const providers = [nativeCrypto(), portableCrypto()]
  return {
    name: 'public-key',
    seeds: keys.map(({ publicKey }) => publicKey.spki),
    run(input) {
      const outcomes = providers.map((provider) =>
        outcomeOf(() => {
          const { kind, bits, spki } = provider.importPublicKey(input)
          if (!equalBytes(spki, input)) throw new Violation(`The ${provider.name} provider shows another key`)
          return `imported: ${kind} ${bits}`
        }, CryptoError),
      )
      const [native, portable] = outcomes.map((outcome) => outcome.startsWith('imported'))
      if (native !== portable) throw new Violation(`Native says ${outcomes[0]}, portable ${outcomes[1]}`)
      const known = outcomeOf(() => String(parseSubjectPublicKey(input).kind), CertificateError)
      return `${outcomes[0]} ${known.replaceAll(':', '')}`
    },
  }
}

/** Both providers must take the same keys, and know the same public half. */
function privateKeyTarget(keys: readonly PrivateKey[]): FuzzTarget {
  const providers = [nativeCrypto(), portableCrypto()]
  return {
    name: 'private-key',
    seeds: [...keys.map((key) => key.exportPkcs8()), ...expandedKeys()],
    run(input) {
      const parts = outcomeOf(() => decodePkcs8(input).kind, CryptoError)
      const outcomes = providers.map((provider) =>
        outcomeOf(() => {
          const { kind, publicKey } = provider.importPrivateKey(input)
          return `imported: ${kind} ${publicKey.spki.toHex()}`
        }, CryptoError),
      )
      const [native, portable] = outcomes.map((outcome) =>
        outcome.startsWith('imported') ? outcome : 'refused',
      )
      if (native !== portable && !(native === 'refused' && isBelieved(input)))
        throw new Violation(`Native says ${outcomes[0]}, portable ${outcomes[1]}`)
      return native === 'refused' ? outcomes[0]! : `imported: ${parts}`
    },
  }
}

/** An expanded ML-DSA key without its seed: the portable provider cannot hold its t0 against the rest. */
function isBelieved(pkcs8: Uint8Array): boolean {
  const parts = decodePkcs8(pkcs8)
  return 'secret' in parts && parts.secret.seed === undefined
}

/** The forms of RFC 9881 §6 in which no key of ours is written. */
function expandedKeys(): Uint8Array[] {
  const seed = new Uint8Array(32)
  const expanded = ml_dsa44.keygen(seed).secretKey
  return [{ expanded }, { seed, expanded }].map((secret) => encodeMlDsaPkcs8('ml-dsa-44', secret))
}

function pemTarget(minted: readonly Minted[], keys: readonly PrivateKey[]): FuzzTarget {
  const bundle = minted.map(({ certificate }) => encodePem('CERTIFICATE', certificate.der))
  const texts = [
    ...bundle.slice(0, 2),
    bundle.slice(2, 5).join('# a comment\r\n'),
    ...keys.map(encodePrivateKeyPem),
  ]
  return {
    name: 'pem',
    seeds: texts.map(utf8),
    run: (input) => {
      const text = Buffer.from(input).toString('latin1')
      const key = outcomeOf(() => decodePrivateKeyPem(text, crypto).kind, CertificateError)
      return outcomeOf(() => {
        const blocks = readPem(text)
        for (const { label } of blocks) decodePem(text, label)
        for (const { label, der } of blocks) {
          const [again] = readPem(encodePem(label, der))
          if (again?.label !== label || !equalBytes(again.der, der))
            throw new Violation('A block is another one after it was encoded and read again')
        }
        return `read: ${blocks.map(({ label }) => label).join()} ${key}`
      }, CertificateError)
    },
  }
}
