import type { IdentityErrorCode } from '../identity/errors.ts'
import type { PkiErrorCode } from '../pki/errors.ts'
import type { FailureEntry } from './failure-entry.ts'

/** Certificates and keys, which stage 3 is about. */
export const PKI_FAILURES: Readonly<Record<PkiErrorCode, FailureEntry>> = {
  PKI_MALFORMED: {
    title: 'A certificate cannot be read',
    explanation: 'It is not valid DER or breaks the format of X.509, so nothing in it can be relied on.',
    remedy: 'Issue the certificate again; the message names the field.',
    stage: 3,
  },
  PKI_PEM: {
    title: 'A PEM file is not what was expected',
    explanation: 'The text holds no block of the expected label, or a broken one.',
    remedy: 'Check that the right file was named: certificates and keys are separate blocks.',
    stage: 3,
  },
  PKI_UNSUPPORTED: {
    title: 'A certificate uses what is not accepted',
    explanation: 'Its algorithm, version or one of its features is unknown here or too weak to accept.',
    remedy: 'Issue the certificate with an ECDSA P-256 key and a SHA-256 signature.',
    stage: 3,
  },
  PKI_EXPIRED: {
    title: 'A certificate has expired',
    explanation:
      'Its validity ended before this moment by the clock of this machine. Either it was not renewed in time, or this clock runs ahead.',
    remedy:
      'Renew the certificate at its holder and reload it there; check why renewal failed. If the time above is wrong, set the clock of this machine.',
    stage: 3,
  },
  PKI_NOT_YET_VALID: {
    title: 'A certificate is not valid yet',
    explanation:
      'Its validity begins after this moment by the clock of this machine: this clock runs behind, or that of the issuer runs ahead.',
    remedy: 'Compare the clocks of this machine and the issuer (NTP).',
    stage: 3,
  },
  PKI_REVOKED: {
    title: 'The certificate of the peer has been revoked',
    explanation:
      'An operator has declared this certificate, the identity in it or an authority above it void, before its time was over. It may be in the wrong hands.',
    remedy:
      'Ask the controller who revoked it, when and why: handfast ca revoke list. A workload whose certificate was revoked gets another with its token; an identity stays out until handfast ca unrevoke.',
    stage: 3,
  },
  PKI_UNKNOWN_ISSUER: {
    title: 'The issuer is not trusted, or a certificate is missing in between',
    explanation:
      'No trust anchor here and no certificate that the peer sent issued this one. Either the peer belongs to another authority, or it left out an intermediate certificate.',
    remedy:
      'Compare the issuer above with the trust bundle here. If an intermediate issued it, have the peer send the whole chain, leaf first, without the root.',
    stage: 3,
  },
  PKI_UNTRUSTED_ROOT: {
    title: 'The root of the chain is not trusted',
    explanation:
      'The chain is complete and ends in a root certificate, yet that root is no trust anchor here: the peer belongs to another authority, or the root was made anew.',
    remedy:
      'Compare the root above with the trust bundle here; add it only if its authority is meant to be trusted.',
    stage: 3,
  },
  PKI_BAD_SIGNATURE: {
    title: 'The signature of a certificate does not verify',
    explanation:
      'The key of the named issuer did not make this signature: the certificate was altered, or another authority has the same name.',
    remedy:
      'Look for two authorities with one name, such as a root made anew; distribute the right trust bundle.',
    stage: 3,
  },
  PKI_NOT_A_CA: {
    title: 'A certificate was issued by something that is no authority',
    explanation: 'A certificate on the path that signed another is not marked as a certificate authority.',
    remedy: 'Issue the certificate from a real authority; a workload certificate must not sign others.',
    stage: 3,
  },
  PKI_PATH_LENGTH: {
    title: 'The chain is longer than allowed',
    explanation: 'An authority on the path limits how many others may follow it, and there are more.',
    remedy: 'Issue from an authority nearer to the root, or raise pathLenConstraint when it is next made.',
    stage: 3,
  },
  PKI_KEY_USAGE: {
    title: 'The key usage of a certificate does not fit',
    explanation:
      'A certificate limits what its key may be used for. Handshakes need digitalSignature, authorities need keyCertSign.',
    remedy: 'Issue the certificate with the usage that the message names.',
    stage: 3,
  },
  PKI_EXTENDED_KEY_USAGE: {
    title: 'The extended key usage of a certificate does not fit',
    explanation: 'It is for another purpose than this side of a TLS connection: serverAuth or clientAuth.',
    remedy: 'Issue the certificate with serverAuth and clientAuth: every workload is both.',
    stage: 3,
  },
  PKI_NAME_CONSTRAINT: {
    title: 'A name lies outside what its authority may certify',
    explanation:
      'An authority on the path is limited to certain names, and this certificate has another. Such limits keep a delegated authority to its own ground.',
    remedy: 'Issue the certificate from the authority in charge of the name, or correct the name.',
    stage: 3,
  },
  PKI_UNKNOWN_CRITICAL_EXTENSION: {
    title: 'A certificate demands an extension that is not understood',
    explanation:
      'An extension marked critical must be understood or the certificate refused (RFC 5280 section 4.2).',
    remedy: 'Issue the certificate without the extension, or not as critical.',
    stage: 3,
  },
  PKI_PROFILE: {
    title: 'A certificate breaks a rule of RFC 5280',
    explanation:
      'Its place on the path, as leaf or authority, demands something that it lacks or forbids something it has.',
    remedy: 'Issue the certificate again by the rule that the message names.',
    stage: 3,
  },
  PKI_NAME_MISMATCH: {
    title: 'The certificate is for another name',
    explanation:
      'The chain is trusted and in date, yet it proves somebody else than was asked for. A server that picks certificates by SNI answers so when asked for a name that it does not know.',
    remedy:
      'Compare the name asked for with the names of the certificate above; correct the address, the server name or the certificate.',
    stage: 3,
  },
  PKI_WEAK_KEY: {
    title: 'The key of a certificate is too weak',
    explanation: 'Its size or shape is below what is accepted here.',
    remedy: 'Issue the certificate with an ECDSA P-256 key, or RSA of at least 2048 bits.',
    stage: 3,
  },
  PKI_LIMIT: {
    title: 'The certificates take too much work to verify',
    explanation:
      'There are too many, or they are too large: a limit that keeps strangers from spending our time.',
    remedy: 'Have the peer send only its chain, leaf first, without the root.',
    stage: 3,
  },
  PKI_KEY_MISMATCH: {
    title: 'Certificate and private key do not belong together',
    explanation: 'The public key in the certificate is not the half of this private key.',
    remedy:
      'Name the key that the certificate was requested with; renewals often replace one file and not the other.',
    stage: 3,
  },
  PKI_ENCRYPTED_KEY: {
    title: 'The private key is encrypted',
    explanation: 'A program that starts by itself has nobody to ask for a passphrase.',
    remedy: 'Decrypt it into a file that only its owner can read: openssl pkey -in key.pem -out plain.pem',
    stage: 3,
  },
  PKI_REQUEST: {
    title: 'A certificate request was refused',
    explanation: 'It is malformed, or its signature does not prove possession of the key.',
    remedy: 'Make the request again with the key it names.',
    stage: 3,
  },
}

/** SPIFFE IDs and the rules of X509-SVIDs. */
export const IDENTITY_FAILURES: Readonly<Record<IdentityErrorCode, FailureEntry>> = {
  IDENTITY_MALFORMED: {
    title: 'A SPIFFE ID is not well-formed',
    explanation:
      'The name in the certificate, or in the configuration, breaks the rules of the SPIFFE ID standard.',
    remedy: 'Write it as spiffe://TRUST-DOMAIN/PATH, such as spiffe://shop.test/ns/shop/sa/catalog.',
    stage: 3,
  },
  IDENTITY_MISSING: {
    title: 'The certificate has no SPIFFE ID',
    explanation:
      'It may be a fine certificate of the web, but an identity of the mesh is a URI in the subject alternative name, and it has none.',
    remedy: 'Use the certificate that the mesh issued to the workload.',
    stage: 3,
  },
  IDENTITY_AMBIGUOUS: {
    title: 'The certificate has more than one SPIFFE ID',
    explanation: 'An X509-SVID has exactly one URI, so that nobody can pick the identity that suits them.',
    remedy: 'Issue the certificate with one URI in its subject alternative name.',
    stage: 3,
  },
  IDENTITY_NOT_A_WORKLOAD: {
    title: 'The SPIFFE ID names a trust domain, not a workload',
    explanation:
      'An ID without a path belongs to the authority of the domain and must not be used to authenticate.',
    remedy: 'Issue a certificate whose SPIFFE ID has a path to the workload.',
    stage: 3,
  },
  IDENTITY_SIGNING_LEAF: {
    title: 'A signing certificate was used to authenticate',
    explanation:
      'The certificate may sign others, and X509-SVID forbids that for whoever takes part in a handshake.',
    remedy: 'Issue a leaf with cA false and without keyCertSign and cRLSign.',
    stage: 3,
  },
  IDENTITY_UNKNOWN_TRUST_DOMAIN: {
    title: 'The peer belongs to a trust domain that is not known here',
    explanation:
      'Each trust domain is verified with its own bundle and no other, and there is none for this one.',
    remedy: 'Check the trust domain of both sides; federate them if both are meant to talk.',
    stage: 3,
  },
  IDENTITY_MISMATCH: {
    title: 'The peer is somebody else',
    explanation:
      'Its certificate is in order, yet it proves another SPIFFE ID than was expected: the address leads to another workload.',
    remedy: 'Compare both IDs; correct the address, the expected ID or the registration of the workload.',
    stage: 3,
  },
  IDENTITY_BUNDLE: {
    title: 'A trust bundle cannot be used',
    explanation: 'It is empty, or a certificate in it is no authority of its trust domain.',
    remedy: 'Put only root and intermediate authorities of the trust domain into the bundle.',
    stage: 3,
  },
}
