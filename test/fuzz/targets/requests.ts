import { utf8 } from '../../../src/bytes/bytes.ts'
import { decodeCsrPem, judgeCsr } from '../../../src/ca/csr.ts'
import { CaError } from '../../../src/ca/errors.ts'
import {
  DER_BIT_STRING,
  DER_INTEGER,
  DER_OCTET_STRING,
  DER_SEQUENCE,
  encodeElement,
} from '../../../src/crypto/der.ts'
import { nativeCrypto } from '../../../src/crypto/native-provider.ts'
import type { PrivateKey } from '../../../src/crypto/provider.ts'
import { HandfastError } from '../../../src/errors.ts'
import { SpiffeId } from '../../../src/identity/spiffe-id.ts'
import type { Certificate } from '../../../src/pki/certificate.ts'
import { createCsr, readCsr } from '../../../src/pki/csr.ts'
import { contextConstructed, contextPrimitive, DerReader, Tag } from '../../../src/pki/der.ts'
import { CertificateError } from '../../../src/pki/errors.ts'
import { readNameConstraints, readSubjectAltNames } from '../../../src/pki/extensions.ts'
import { checkNameConstraints, ComparisonBudget } from '../../../src/pki/name-constraints.ts'
import { encodeNameConstraints } from '../../../src/pki/name-constraints-encoding.ts'
import { encodePem } from '../../../src/pki/pem.ts'
import { CLIENT_ID, SERVER_ID, type Workloads } from '../../support/tls-workloads.ts'
import { magnitude, outcomeOf, Violation, type FuzzTarget } from '../target.ts'

const crypto = nativeCrypto()

/** What is asked of an authority, and what an authority may vouch for. */
export function requestTargets(workloads: Workloads, keys: readonly PrivateKey[]): readonly FuzzTarget[] {
  return [
    csrTarget(keys),
    csrPemTarget(keys),
    attributesTarget(workloads.client.key),
    constraintsTarget(workloads),
  ]
}

/** Nobody but its key makes a request. */
function csrTarget(keys: readonly PrivateKey[]): FuzzTarget {
  const genuine = new Set(keys.map(({ publicKey }) => publicKey.spki.toHex()))
  return {
    name: 'csr',
    seeds: keys.map(createCsr),
    run: (input) =>
      outcomeOf(
        () => {
          const { publicKey, subject } = readCsr(input, crypto)
          if (!genuine.has(publicKey.spki.toHex()))
            throw new Violation('A request was accepted that its key did not sign')
          judge(input)
          return `read: ${magnitude(subject.text.length)}`
        },
        CertificateError,
        CaError,
      ),
  }
}

/** As Istio's agents send it. */
function csrPemTarget(keys: readonly PrivateKey[]): FuzzTarget {
  const pems = keys.map((key) => encodePem('CERTIFICATE REQUEST', createCsr(key)))
  return {
    name: 'csr-pem',
    seeds: [...pems, pems.join('')].map(utf8),
    run: (input) =>
      outcomeOf(() => {
        const csr = decodeCsrPem(new TextDecoder().decode(input))
        return `decoded: ${magnitude(csr.length)}`
      }, CaError),
  }
}

const ED25519_ALGORITHM = Uint8Array.fromHex('300506032b6570')
const EXTENSION_REQUEST = Uint8Array.fromHex('06092a864886f70d01090e')
const CHALLENGE_PASSWORD = Uint8Array.fromHex('06092a864886f70d010907')
const SUBJECT_ALT_NAME = Uint8Array.fromHex('0603551d11')

/** The input is the attributes of a request that its key signs. */
function attributesTarget(key: PrivateKey): FuzzTarget {
  const asking = (uri: string): Uint8Array => {
    const names = encodeElement(DER_SEQUENCE, encodeElement(contextPrimitive(6), utf8(uri)))
    const extension = encodeElement(DER_SEQUENCE, SUBJECT_ALT_NAME, encodeElement(DER_OCTET_STRING, names))
    const extensions = encodeElement(DER_SEQUENCE, extension)
    return encodeElement(DER_SEQUENCE, EXTENSION_REQUEST, encodeElement(Tag.set, extensions))
  }
  const password = encodeElement(Tag.set, encodeElement(Tag.utf8String, utf8('secret')))
  return {
    name: 'csr-attributes',
    seeds: [asking(CLIENT_ID), asking(SERVER_ID), encodeElement(DER_SEQUENCE, CHALLENGE_PASSWORD, password)],
    run: (input) =>
      outcomeOf(() => {
        const info = encodeElement(
          DER_SEQUENCE,
          encodeElement(DER_INTEGER, Uint8Array.of(0)),
          encodeElement(DER_SEQUENCE),
          key.publicKey.spki,
          encodeElement(contextConstructed(0), input),
        )
        const signature = key.sign({ kind: 'ed25519' }, info)
        const bits = encodeElement(DER_BIT_STRING, Uint8Array.of(0), signature)
        judge(encodeElement(DER_SEQUENCE, info, ED25519_ALGORITHM, bits))
        return `judged: ${magnitude(input.length)}`
      }, CaError),
  }
}

/** The authority's answer hides what went wrong; a fault of ours is brought to light again. */
function judge(request: Uint8Array): void {
  try {
    judgeCsr(request, { id: SpiffeId.parse(CLIENT_ID), crypto })
  } catch (thrown) {
    if (thrown instanceof CaError && thrown.cause !== undefined && !(thrown.cause instanceof HandfastError))
      throw thrown.cause
    throw thrown
  }
}

/** The first byte is the length of the names, the constraints follow them: both may be anything that is well-formed. */
function constraintsTarget({ client, domain }: Workloads): FuzzTarget {
  const names = ['spiffe://shop.example/a', 'https://user@[::1]:80/x', 'urn:x'].map((uri) =>
    encodeElement(DER_SEQUENCE, encodeElement(contextPrimitive(6), utf8(uri))),
  )
  const dnsNames = encodeElement(DER_SEQUENCE, encodeElement(contextPrimitive(2), utf8('*.orders.example')))
  const constraints = [
    encodeNameConstraints({ permittedUris: ['shop.example'], permittedDnsNames: ['example'] }),
    encodeNameConstraints({ excludedUris: ['.example'], excludedDnsNames: ['orders.example'] }),
  ]
  return {
    name: 'name-constraints',
    seeds: [...names, dnsNames].flatMap((subject) =>
      constraints.map((issuer) => Uint8Array.of(subject.length, ...subject, ...issuer)),
    ),
    run: (input) =>
      outcomeOf(() => {
        const at = 1 + (input[0] ?? 0)
        const subjectAltNames = DerReader.readAll(input.subarray(1, at), 'names', (reader) =>
          readSubjectAltNames(reader, false),
        )
        const nameConstraints = DerReader.readAll(input.subarray(at), 'constraints', (reader) =>
          readNameConstraints(reader, true),
        )
        const issuer: Certificate = { ...domain.intermediate.certificate, nameConstraints }
        const subject: Certificate = { ...client.certificate, subjectAltNames }
        checkNameConstraints(issuer, subject, new ComparisonBudget())
        return `fits: ${nameConstraints.permitted.length} ${nameConstraints.excluded.length}`
      }, CertificateError),
  }
}
