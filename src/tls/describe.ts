import { DistinguishedName } from '../pki/distinguished-name.ts'
import { parseCertificate } from '../pki/certificate.ts'
import {
  decodeCertificate,
  decodeCertificateRequest,
  decodeCertificateVerify,
} from './messages/authentication.ts'
import { decodeClientHello, type ClientHello } from './messages/client-hello.ts'
import { decodeEncryptedExtensions } from './messages/encrypted-extensions.ts'
import type { HandshakeMessage } from './messages/handshake-message.ts'
import { decodeServerHello } from './messages/server-hello.ts'
import {
  CipherSuite,
  HandshakeType,
  NamedGroup,
  nameOf,
  ProtocolVersion,
  SignatureScheme,
  type HandshakeTypeName,
} from './registry.ts'
import type {
  CertificateRequestDetails,
  ClientHelloDetails,
  MessageDetails,
  ServerHelloDetails,
} from './trace.ts'

const VERSION_NAMES = {
  'TLS 1.0': ProtocolVersion.tls10,
  'TLS 1.1': 0x0302,
  'TLS 1.2': ProtocolVersion.tls12,
  'TLS 1.3': ProtocolVersion.tls13,
}

/** What a message says, for a reader. Malformed ones are described as `other`: whoever rejects them says why. */
export function describeMessage(message: HandshakeMessage): MessageDetails {
  try {
    return describe(message)
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
      }
    }
    case HandshakeType.certificate_request:
      return describeCertificateRequest(body)
    case HandshakeType.certificate:
      return {
        message: 'certificate',
        chain: decodeCertificate(body).entries.map((entry) => parseCertificate(entry.certificate)),
      }
    case HandshakeType.certificate_verify:
      return {
        message: 'certificate_verify',
        scheme: nameOf(SignatureScheme, decodeCertificateVerify(body).scheme),
      }
    case HandshakeType.finished:
    case HandshakeType.end_of_early_data:
    case HandshakeType.new_session_ticket:
    case HandshakeType.key_update:
      return {
        message: nameOf(HandshakeType, type) as HandshakeTypeName &
          ('finished' | 'end_of_early_data' | 'new_session_ticket' | 'key_update'),
      }
    default:
      return { message: 'other' }
  }
}

/** What a ClientHello says. */
export function describeClientHello(hello: ClientHello): ClientHelloDetails {
  const { extensions } = hello
  const serverName = extensions.value('server_name')
  const alpn = extensions.value('application_layer_protocol_negotiation')
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
    return { ...common, version, retryGroup: group === undefined ? 'unchanged' : nameOf(NamedGroup, group) }
  }
  const version = nameOf(VERSION_NAMES, hello.extensions.value('supported_versions') ?? hello.legacyVersion)
  const share = hello.extensions.value('key_share')
  if (share === undefined) return { ...common, version }
  return {
    ...common,
    version,
    keyShare: { group: nameOf(NamedGroup, share.group), bytes: share.share.length },
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
