import type { CryptoProvider, GroupName, KeyKind, SignatureParameters } from '../crypto/provider.ts'
import type { Certificate } from '../pki/certificate.ts'
import type { CertificateMemory } from '../pki/certificate-memory.ts'
import type { CertificateVerifier, VerificationContext, VerifiedPeer } from '../pki/verifier.ts'
import type { CertificateCompressor } from './certificate-compression.ts'
import type { EchKey } from './ech/config.ts'
import type { Eventually } from './eventually.ts'
import type { CertificateTypeName, CipherSuiteName, SignatureSchemeName } from './registry.ts'
import type { ExternalPsk, ExternalPskLookup } from './session/external-psk.ts'
import type { RemoteClientTickets } from './session/resumption.ts'
import type { TicketPolicy } from './session/ticketing.ts'
import type { TraceEvent } from './trace.ts'

/** A key that signs for us; it may live elsewhere, and answer later. */
export interface SigningKey {
  readonly kind: KeyKind
  /** ECDSA signatures are DER. */
  sign(parameters: SignatureParameters, content: Uint8Array): Eventually<Uint8Array>
}

interface SigningCredential {
  readonly key: SigningKey
  /**
   * What it signs with, by preference. Servers never sign with `rsa_pkcs1_sha256_legacy`.
   * @default every scheme that fits the key, but the legacy one
   */
  readonly signatureSchemes?: readonly SignatureSchemeName[]
}

/** A certificate chain with the key of its leaf. */
export interface Credential extends SigningCredential {
  /** Leaf first, without the anchor. */
  readonly chain: readonly Certificate[]
  /** Whether it is only shown to peers whose certificate_authorities name an issuer of the chain. @default false */
  readonly onlyForNamedIssuers?: boolean
  /** The DER OCSPResponse (RFC 6960) for the leaf, for peers that ask. @default none */
  readonly ocspResponse?: Uint8Array
  /** The SignedCertificateTimestampList (RFC 6962 §3.3) for the leaf, for peers that ask. @default none */
  readonly signedCertificateTimestamps?: Uint8Array
}

/** A key by itself, known to the peer beforehand (RFC 7250). */
export interface RawPublicKeyCredential extends SigningCredential {
  /** DER SubjectPublicKeyInfo of the key. */
  readonly rawPublicKey: Uint8Array
}

/** What one side shows to prove itself. */
export type AnyCredential = Credential | RawPublicKeyCredential

/** One credential, or several by preference: the first that suits the peer is shown. */
export type Credentials = AnyCredential | readonly AnyCredential[]

/** What a peer says of the credential that it would like to see. Numbers that nobody knows are among them. */
export interface CredentialWishes {
  /** What a client asked a server for; always undefined when a client is to choose. */
  readonly serverName: string | undefined
  /** The signatures that it accepts of us, by preference: code points of `SignatureScheme`. */
  readonly schemes: readonly number[]
  /** The signatures that it accepts in certificates, by preference. */
  readonly certificateSchemes: readonly number[]
  /** Subjects of the authorities that it trusts, as DER; empty when it does not say. */
  readonly certificateAuthorities: readonly Uint8Array[]
  /** Code points of `CertificateType`, by preference. */
  readonly certificateTypes: readonly number[]
}

/** What to show, or the choice of it for one peer; `chooseCredential` chooses by name. */
export type CredentialSource =
  | Credentials
  | ((wishes: CredentialWishes) => Eventually<Credentials | undefined>)

/** A {@link CertificateVerifier} that may ask others, and answer later. */
export interface PeerVerifier extends Omit<CertificateVerifier, 'verify'> {
  verify(chain: readonly Certificate[], context: VerificationContext): Eventually<VerifiedPeer>
}

/** Knows peers by their keys, without certificates. */
export interface RawPublicKeyVerifier {
  /**
   * @param rawPublicKey DER SubjectPublicKeyInfo of a key that can be used; possession is proven elsewhere
   * @returns whom the key stands for, with the key and an empty path
   * @throws CertificateError, or TlsError with a more telling alert
   */
  verify(rawPublicKey: Uint8Array, context: VerificationContext): Eventually<VerifiedPeer>
  /** Judges again for a resumption; nothing is resumed with a verifier that cannot. @throws CertificateError */
  reverify?(peer: VerifiedPeer, context: VerificationContext): void
}

/** What both roles have in common. */
export interface EndpointOptions {
  readonly crypto: CryptoProvider
  /** Wall clock, in milliseconds since the Unix epoch; may have a fraction. */
  readonly nowMs: () => number
  /** Protocols by preference. A server with a list refuses a client whose list shares none. @default none */
  readonly alpn?: readonly string[]
  /**
   * By preference. A server takes ChaCha20-Poly1305, if it is among them, for a client that prefers it: such a one has
   * no AES in hardware.
   * @default all three, AES-128 first
   */
  readonly suites?: readonly CipherSuiteName[]
  /** By preference. @default X25519MLKEM768, x25519, secp256r1, secp384r1 */
  readonly groups?: readonly GroupName[]
  /**
   * What we accept of peers, by preference. Clients do not take `rsa_pkcs1_sha256_legacy`.
   * @default ECDSA with P-256 and P-384, Ed25519, RSA-PSS
   */
  readonly signatureSchemes?: readonly SignatureSchemeName[]
  /**
   * The most plaintext in a record that we take, from 64 to 16,384 bytes; peers are told (RFC 8449).
   * @default 16384, and nothing is said
   */
  readonly maxRecordBytes?: number
  /**
   * The most plaintext in a record that we send, from 64 to 16,384 bytes; what the peer takes may be less still.
   * @default 16384
   */
  readonly maxSentRecordBytes?: number
  /** The longest handshake message that we take, in bytes. @default 65536 */
  readonly maxMessageBytes?: number
  /** The most certificates in a peer's chain. @default 10 */
  readonly maxCertificates?: number
  /**
   * Whether to send values that mean nothing, so that peers keep ignoring what they do not know (RFC 8701); a client
   * also sends its extensions in random order, so that servers rely on none. @default true
   */
  readonly grease?: boolean
  /** Pads each record of application data to a multiple of so many bytes, to hide lengths. @default none */
  readonly paddingBlockBytes?: number
  /** Begins each burst with records that fit one TCP segment: less latency on slow links, more work. @default false */
  readonly smallFirstRecords?: boolean
  /**
   * How certificates may be compressed, by preference; peers are told (RFC 8879). `nodeCompression` has all three ways.
   * @default not at all
   */
  readonly certificateCompression?: readonly CertificateCompressor[]
  /** Asks peers for an OCSP response, which goes to the verifier. @default false */
  readonly requestOcspResponse?: boolean
  /** Asks peers for signed certificate timestamps, which go to the verifier. @default false */
  readonly requestCertificateTimestamps?: boolean
  /** Remembers the certificates of peers, so that those who come again cost less. @default each is read anew */
  readonly certificates?: CertificateMemory
  /** Lets peers prove themselves by key alone (RFC 7250). @default by certificates only */
  readonly rawPublicKeyVerifier?: RawPublicKeyVerifier
  /** How peers may prove themselves, by preference. @default whatever there is a verifier for, certificates first */
  readonly peerCertificateTypes?: readonly CertificateTypeName[]
  /** Receives lines of the SSLKEYLOGFILE format (RFC 9850). Whoever reads them reads the traffic. @default off */
  readonly keyLog?: (line: string) => void
  /** Receives an event for every step. @default off */
  readonly trace?: (event: TraceEvent) => void
}

export interface ClientOptions extends EndpointOptions {
  /** Verifies the server. */
  readonly verifier: PeerVerifier
  /**
   * Keys that this server was given too, by preference; it must take one of them, or the ticket of a connection by one.
   * Nobody shows a certificate then, and the session has no `peer`. @default certificates only
   */
  readonly externalPsks?: readonly ExternalPsk[]
  /** Whether a server that takes none of `externalPsks` may prove itself to `verifier` instead. @default false */
  readonly orCertificate?: boolean
  /** A DNS name for the server_name extension. @default none sent */
  readonly serverName?: string
  /**
   * What to show a server that asks; a function is called when one does. With something to show that does not suit the
   * server, the handshake fails. @default nothing
   */
  readonly credential?: CredentialSource
  /** How we can prove ourselves, by preference. @default as `credential` can, X.509 when it is a function */
  readonly ownCertificateTypes?: readonly CertificateTypeName[]
  /**
   * The groups to send shares for, for callers that know what a server will choose; none asks for a HelloRetryRequest.
   * @default the preferred group, and the preferred one of the other kind, post-quantum or classical
   */
  readonly keyShares?: readonly GroupName[]
  /**
   * Tickets of this one server, shown this credential. Given, connections are resumed where they can be.
   * @default every handshake is a full one
   */
  readonly tickets?: RemoteClientTickets
  /**
   * Whether a server may choose a protocol that `alpn` does not list, for callers that ask what it speaks; it must
   * still be asked. @default false, and illegal_parameter
   */
  readonly acceptUnofferedAlpn?: boolean
  /** Whether data may be sent early, which may be replayed (RFC 8446 §8). @default false */
  readonly earlyData?: boolean
  /** Encrypts the ClientHello, so that observers see a public name in place of ours. @default in the clear */
  readonly ech?: ClientEch
}

/**
 * Chooses among the protocols that a client offers, at least one.
 *
 * @returns undefined to go on without a protocol
 * @throws TlsError TLS_NO_APPLICATION_PROTOCOL to refuse the client
 */
export type ProtocolChooser = (
  offered: readonly string[],
  serverName: string | undefined,
) => Eventually<string | undefined>

/** How a client hides what it asks for (RFC 9849). */
export interface ClientEch {
  /** An ECHConfigList as the server publishes it; empty when it publishes none. @default empty */
  readonly configs?: Uint8Array
  /** Whether to fail, with TLS_BAD_OPTIONS, when no config can be used. @default true when configs are given */
  readonly required?: boolean
  /** Whether to look as if ECH were used when no config can be. @default false */
  readonly grease?: boolean
  /** Verifies a server that rejects our hello, under the public name of the config. @default the verifier of the server */
  readonly publicNameVerifier?: CertificateVerifier
}

/** How a server reads encrypted hellos (RFC 9849). */
export interface ServerEch {
  /** All that clients may still use. */
  readonly keys: readonly EchKey[]
  /** The ECHConfigList for clients whose hello cannot be read. @default the configs of all keys */
  readonly retryConfigs?: Uint8Array
  /**
   * Whether the name inside may be asked for by ECH. If not, the outer hello counts, and no configs are offered to
   * try again with, which would lead here again: ECH is off for this name.
   * @default every name may
   */
  readonly accepts?: (serverName: string | undefined) => boolean
}

export interface ServerOptions extends EndpointOptions {
  /**
   * What to show, or the choice of it; undefined refuses with unrecognized_name. Without a source, only keys of
   * `externalPsks` lead to a connection.
   */
  readonly credential?: CredentialSource
  /** Chooses the application protocol for each client, in place of `alpn`. @default the first of `alpn` that it offers */
  readonly chooseAlpn?: ProtocolChooser
  /**
   * Keys that clients were given too, by our preference, or a look-up; what the client has none of goes on by
   * certificate. Clients are not asked for theirs with such a key, also when there is a verifier, and the session has
   * no `peer`.
   * @default certificates only
   */
  readonly externalPsks?: readonly ExternalPsk[] | ExternalPskLookup
  /**
   * Those of `groups` that are as good as each other to us: where our order leads to one of them, the client's order
   * says which. @default ours decides
   */
  readonly equalGroups?: readonly GroupName[]
  /** Whether a client that can use either sees our certificate, and not one of `externalPsks`. @default false */
  readonly preferCertificate?: boolean
  /**
   * Whether to tell clients that the name they asked for chose the certificate (RFC 6066 §3). Nothing depends on it,
   * and a server that knows no names can leave it unsaid. @default true
   */
  readonly acknowledgeServerName?: boolean
  /** Asks clients for a certificate. Without a verifier, of either kind, none is asked for. */
  readonly clientVerifier?: PeerVerifier
  /** Whether a client without certificate is let in, unverified. @default false when there is a verifier */
  readonly allowAnonymousClient?: boolean
  /**
   * A secret of 32 bytes, shared between replicas, that authenticates the cookies of HelloRetryRequests: the second
   * ClientHello may then come to a connection that never saw the first. @default no cookies are sent
   */
  readonly cookieKey?: Uint8Array
  /**
   * Sends the compatibility record of RFC 8446 appendix D.4 even to clients that do not ask for it. @default false
   */
  readonly alwaysSendChangeCipherSpec?: boolean
  /** Lets clients resume. @default every handshake is a full one */
  readonly tickets?: TicketPolicy
  /** Takes early data, on single-use tickets only; it goes to the handler `earlyData`. @default refused */
  readonly earlyData?: { readonly maxBytes: number }
  /** Reads encrypted ClientHellos. @default they are not looked into, and the outer one counts */
  readonly ech?: ServerEch
}
