import { DistinguishedName } from '../pki/distinguished-name.ts'
import { parseSubjectPublicKey } from '../pki/algorithms.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { restoreCertificate, type CertificateCompressor } from './certificate-compression.ts'
import {
  decodeCertificate,
  decodeCertificateRequest,
  decodeCertificateVerify,
} from './messages/authentication.ts'
import { decodeClientHello, type ClientHello } from './messages/client-hello.ts'
import { decodeCompressedCertificate } from './messages/compressed-certificate.ts'
import { decodeEncryptedExtensions } from './messages/encrypted-extensions.ts'
import type { Extensions } from './messages/extensions.ts'
import type { HandshakeMessage } from './messages/handshake-message.ts'
import {
  decodeKeyUpdate,
  decodeNewSessionTicket,
  maxEarlyDataOf,
  type NewSessionTicket,
} from './messages/post-handshake.ts'
import { decodeServerHello } from './messages/server-hello.ts'
import {
  CertificateCompression,
  CertificateType,
  CipherSuite,
  HandshakeType,
  NamedGroup,
  nameOf,
  ProtocolVersion,
  SignatureScheme,
  type HandshakeTypeName,
} from './registry.ts'
import type {
  CertificateDetails,
  CertificateRequestDetails,
  ClientHelloDetails,
  EncryptedExtensionsDetails,
  MessageDetails,
  NewSessionTicketDetails,
  ServerHelloDetails,
} from './trace.ts'

const VERSION_NAMES = {
  'TLS 1.0': ProtocolVersion.tls10,
  'TLS 1.1': 0x0302,
  'TLS 1.2': ProtocolVersion.tls12,
  'TLS 1.3': ProtocolVersion.tls13,
}

/**
 * What a message says, for a reader. Malformed ones are described as `other`: whoever rejects them says why.
 *
 * @param compressors what a CompressedCertificate may have been made with
 */
export function describeMessage(
  message: HandshakeMessage,
  compressors: readonly CertificateCompressor[] = [],
): MessageDetails {
  try {
    return message.type === HandshakeType.compressed_certificate
      ? describeCompressed(message, compressors)
      : describe(message)
  } catch {
    return { message: 'other' }
  }
}

function describe({ type, body }: HandshakeMessage): MessageDetails {
  switch (type) {
    case HandshakeType.client_hello:
      return describeClientHello(decodeClientHello(body))
    case HandshakeType.server_hello:
      return describeServerHello(body)
    case HandshakeType.encrypted_extensions: {
      const extensions = decodeEncryptedExtensions(body)
      const alpn = extensions.value('application_layer_protocol_negotiation')?.[0]
      return {
        message: 'encrypted_extensions',
        extensions: extensions.names,
        ...(alpn === undefined ? {} : { alpn }),
        ...certificateTypes(extensions),
      }
    }
    case HandshakeType.certificate_request:
      return describeCertificateRequest(body)
    case HandshakeType.certificate:
      return describeCertificate(body)
    case HandshakeType.certificate_verify:
      return {
        message: 'certificate_verify',
        scheme: nameOf(SignatureScheme, decodeCertificateVerify(body).scheme),
      }
    case HandshakeType.new_session_ticket:
      return describeTicket(decodeNewSessionTicket(body))
    case HandshakeType.key_update:
      return { message: 'key_update', ...decodeKeyUpdate(body) }
    case HandshakeType.finished:
    case HandshakeType.end_of_early_data:
      return {
        message: nameOf(HandshakeType, type) as HandshakeTypeName & ('finished' | 'end_of_early_data'),
      }
    default:
      return { message: 'other' }
  }
}

function certificateTypes(
  extensions: Extensions<'encrypted_extensions'>,
): Pick<EncryptedExtensionsDetails, 'serverCertificateType' | 'clientCertificateType'> {
  const server = extensions.value('server_certificate_type')
  const client = extensions.value('client_certificate_type')
  return {
    ...(server === undefined ? {} : { serverCertificateType: nameOf(CertificateType, server) }),
    ...(client === undefined ? {} : { clientCertificateType: nameOf(CertificateType, client) }),
  }
}

/** Which form it has was negotiated elsewhere; one is never well-formed as the other. */
function describeCertificate(body: Uint8Array): CertificateDetails {
  // How long a chain may be is for those who accept it.
  const { entries } = decodeCertificate(body, { maxCertificates: Infinity })
  const [first] = entries
  if (first === undefined) return { message: 'certificate', chain: [] }
  const stapled = first.extensions.names
  try {
    const chain = entries.map((entry) => parseCertificate(entry.certificate))
    return { message: 'certificate', chain, ...(stapled.length === 0 ? {} : { stapled }) }
  } catch (thrown) {
    if (entries.length > 1) throw thrown
    return { message: 'certificate', chain: [], rawPublicKey: parseSubjectPublicKey(first.certificate) }
  }
}

function describeCompressed(
  message: HandshakeMessage,
  compressors: readonly CertificateCompressor[],
): CertificateDetails {
  const restored = restoreCertificate(message, compressors)
  const { algorithm } = decodeCompressedCertificate(message.body)
  const compression = {
    algorithm: nameOf(CertificateCompression, algorithm),
    restoredBytes: restored.bytes.length,
  }
  return { ...describeCertificate(restored.body), compression }
}

function describeTicket({ lifetimeSeconds, extensions }: NewSessionTicket): NewSessionTicketDetails {
  const earlyData = maxEarlyDataOf(extensions)
  return {
    message: 'new_session_ticket',
    lifetimeSeconds,
    ...(earlyData === 0 ? {} : { maxEarlyDataBytes: earlyData }),
  }
}

/** What a ClientHello says. */
export function describeClientHello(hello: ClientHello): ClientHelloDetails {
  const { extensions } = hello
  const serverName = extensions.value('server_name')
  const alpn = extensions.value('application_layer_protocol_negotiation')
  const psks = extensions.value('pre_shared_key')
  return {
    message: 'client_hello',
    sessionIdBytes: hello.sessionId.length,
    versions: (extensions.value('supported_versions') ?? [hello.legacyVersion]).map((code) =>
      nameOf(VERSION_NAMES, code),
    ),
    cipherSuites: hello.cipherSuites.map((code) => nameOf(CipherSuite, code)),
    groups: (extensions.value('supported_groups') ?? []).map((code) => nameOf(NamedGroup, code)),
    keyShares: (extensions.value('key_share') ?? []).map(({ group, share }) => ({
      group: nameOf(NamedGroup, group),
      bytes: share.length,
    })),
    signatureSchemes: (extensions.value('signature_algorithms') ?? []).map((code) =>
      nameOf(SignatureScheme, code),
    ),
    extensions: extensions.names,
    ...(serverName === undefined ? {} : { serverName }),
    ...(alpn === undefined ? {} : { alpn }),
    ...(psks === undefined ? {} : { offeredPsks: psks.identities.length }),
  }
}

function describeServerHello(body: Uint8Array): ServerHelloDetails {
  const hello = decodeServerHello(body)
  const common = {
    message: 'server_hello',
    cipherSuite: nameOf(CipherSuite, hello.cipherSuite),
    sessionIdEchoed: hello.sessionId.length > 0,
  } as const
  if (hello.kind === 'hello_retry_request') {
    const version = nameOf(VERSION_NAMES, hello.extensions.value('supported_versions') ?? hello.legacyVersion)
    const group = hello.extensions.value('key_share')
    const cookie = hello.extensions.value('cookie')
    return {
      ...common,
      version,
      retryGroup: group === undefined ? 'unchanged' : nameOf(NamedGroup, group),
      ...(cookie === undefined ? {} : { cookieBytes: cookie.length }),
    }
  }
  const version = nameOf(VERSION_NAMES, hello.extensions.value('supported_versions') ?? hello.legacyVersion)
  const share = hello.extensions.value('key_share')
  const selectedPsk = hello.extensions.value('pre_shared_key')
  return {
    ...common,
    version,
    ...(share === undefined
      ? {}
      : { keyShare: { group: nameOf(NamedGroup, share.group), bytes: share.share.length } }),
    ...(selectedPsk === undefined ? {} : { selectedPsk }),
  }
}

function describeCertificateRequest(body: Uint8Array): CertificateRequestDetails {
  const { extensions } = decodeCertificateRequest(body)
  return {
    message: 'certificate_request',
    signatureSchemes: (extensions.value('signature_algorithms') ?? []).map((code) =>
      nameOf(SignatureScheme, code),
    ),
    authorities: (extensions.value('certificate_authorities') ?? []).map(
      (der) => DistinguishedName.parse(der).text,
    ),
  }
}
