import type { CryptoProvider, PublicKey } from '../crypto/provider.ts'
import { messageOf } from '../errors.ts'
import type { SpiffeId } from '../identity/spiffe-id.ts'
import { readCsr } from '../pki/csr.ts'
import { contextConstructed, DerReader, Tag } from '../pki/der.ts'
import { CertificateError } from '../pki/errors.ts'
import { readSubjectAltNames } from '../pki/extensions.ts'
import { Oid } from '../pki/oid.ts'
import { decodePem } from '../pki/pem.ts'
import { CaError, type CaErrorCode } from './errors.ts'

/** RFC 2985 §5.4.2: the attribute with the extensions that the requester would like. */
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'

/** In the outer sequence of extensions, RFC 5280 §4.1. */
interface RequestedExtension {
  readonly oid: string
  readonly value: Uint8Array
}

/**
 * The key of a CSR, if the CSR proves it and asks for no other identity than the proven one. Asking for none is
 * usual; what else it asks for is not given.
 *
 * @param csr PKCS#10, DER
 * @throws CaError CA_CSR_INVALID, CA_CSR_KEY, CA_CSR_SIGNATURE, CA_CSR_IDENTITY
 */
export function judgeCsr(
  csr: Uint8Array,
  { id, crypto }: { readonly id: SpiffeId; readonly crypto: CryptoProvider },
): PublicKey {
  const { publicKey, uris } = read(csr, crypto)
  const other = uris.find((uri) => uri !== id.toString())
  // Not a mistake to be passed over: somebody holds the credentials of one workload and wants to be another.
  if (other !== undefined)
    throw new CaError(
      'CA_CSR_IDENTITY',
      `The request names ${JSON.stringify(other)}, and its sender is ${id.toString()}`,
    )
  return publicKey
}

/** The DER of a CSR in PEM; nothing else may be with it. @throws CaError CA_CSR_INVALID */
export function decodeCsrPem(pem: string): Uint8Array {
  try {
    const [csr, ...more] = decodePem(pem, 'CERTIFICATE REQUEST')
    if (csr !== undefined && more.length === 0) return csr
    throw new RangeError(`there are ${more.length + 1} requests`)
  } catch (error) {
    throw new CaError('CA_CSR_INVALID', `The request is not one in PEM: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function read(csr: Uint8Array, crypto: CryptoProvider): { publicKey: PublicKey; uris: readonly string[] } {
  try {
    const { publicKey } = readCsr(csr, crypto)
    return { publicKey, uris: requestedUris(csr) }
  } catch (error) {
    throw new CaError(codeOf(error), messageOf(error), { cause: error })
  }
}

function codeOf(error: unknown): CaErrorCode {
  const code = error instanceof CertificateError ? error.code : undefined
  if (code === 'PKI_UNSUPPORTED') return 'CA_CSR_KEY'
  return code === 'PKI_BAD_SIGNATURE' ? 'CA_CSR_SIGNATURE' : 'CA_CSR_INVALID'
}

/** The URIs that a well-formed CSR asks to be certified for. @throws CertificateError PKI_MALFORMED */
function requestedUris(csr: Uint8Array): readonly string[] {
  return DerReader.readAll(csr, 'request', (whole) =>
    whole.sequence('contents', (reader) => {
      const uris = reader.sequence('certificationRequestInfo', (info) => {
        for (const field of ['version', 'subject', 'subjectPKInfo']) info.any(field)
        return info.more ? info.constructed(contextConstructed(0), 'attributes', readAttributes) : []
      })
      reader.any('signatureAlgorithm')
      reader.any('signature')
      return uris
    }),
  )
}

/** There may be none. */
function readAttributes(attributes: DerReader): readonly string[] {
  const uris: string[] = []
  while (attributes.more) uris.push(...readAttribute(attributes))
  return uris
}

function readAttribute(attributes: DerReader): readonly string[] {
  return attributes.sequence('attribute', (attribute) => {
    const type = attribute.oid('type')
    if (type !== EXTENSION_REQUEST) {
      attribute.any('values')
      return []
    }
    const requests = attribute.list(Tag.set, 'extensionRequest', (values) =>
      values.list(Tag.sequence, 'extensions', readExtension),
    )
    return requests
      .flat()
      .filter(({ oid }) => oid === Oid.subjectAltName)
      .flatMap(({ value }) =>
        DerReader.readAll(value, 'subjectAltName', (reader) => readSubjectAltNames(reader, false).uris),
      )
  })
}

function readExtension(extensions: DerReader): RequestedExtension {
  return extensions.sequence('extension', (extension) => {
    const oid = extension.oid('extnID')
    extension.booleanDefaultFalse('critical')
    return { oid, value: extension.octetString('extnValue') }
  })
}
