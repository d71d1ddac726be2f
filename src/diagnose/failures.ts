/** What every failure of a handshake means and what to do about it, by error code. */
import type { IdentityErrorCode } from '../identity/errors.ts'
import type { PkiErrorCode } from '../pki/errors.ts'
import type { TlsErrorCode } from '../tls/errors.ts'
import { IDENTITY_FAILURES, PKI_FAILURES } from './certificate-failures.ts'
import type { FailureEntry } from './failure-entry.ts'

const TLS_FAILURES: Readonly<Record<TlsErrorCode, FailureEntry>> = {
  TLS_NOT_TLS: {
    title: 'The peer does not speak TLS',
    explanation:
      'The first bytes are not a TLS record. The peer talks plaintext on this port, or something between the two ends, such as a proxy or a load balancer, answered in its place.',
    remedy:
      'Check the address and port on the calling side. If the caller speaks plaintext, have it go through its sidecar or turn TLS on there.',
    stage: 1,
  },
  TLS_DECODE_ERROR: {
    title: 'A message could not be read',
    explanation:
      'A record or message breaks the format of RFC 8446. The peer has a defect, or the bytes were damaged or cut by something between.',
    remedy:
      'Note the field in the message and the software of the peer; capture the traffic with a key log if it happens again.',
  },
  TLS_UNEXPECTED_MESSAGE: {
    title: 'A message came out of turn',
    explanation:
      'The handshake allows exactly one message at each moment, and another one came. The peer has a defect, or it speaks a different protocol from here on.',
    remedy: 'Check which software and version the peer runs, and whether a proxy sits between.',
  },
  TLS_ILLEGAL_PARAMETER: {
    title: 'The peer contradicted the negotiation',
    explanation: 'A field holds a value that RFC 8446 forbids at this point, or that was never offered.',
    remedy: 'Check which software and version the peer runs; the message names the field.',
  },
  TLS_MISSING_EXTENSION: {
    title: 'A mandatory extension is missing',
    explanation:
      'TLS 1.3 cannot go on without the extension that the message names. An old or stripped-down stack, or a middlebox that removes what it does not know, leaves it out.',
    remedy: 'Update the stack of the peer, or take the middlebox out of the path.',
    stage: 1,
  },
  TLS_UNSOLICITED_EXTENSION: {
    title: 'The peer answered a question nobody asked',
    explanation: 'An answer may only hold extensions that were offered; this one holds another.',
    remedy: 'Check which software and version the peer runs; this is a defect there.',
  },
  TLS_NO_COMMON_VERSION: {
    title: 'No common protocol version',
    explanation: 'Handfast speaks TLS 1.3 only, and the peer does not: it is older or configured so.',
    remedy: 'Turn TLS 1.3 on at the peer, or put its sidecar in front of it.',
    stage: 1,
  },
  TLS_DOWNGRADE: {
    title: 'The handshake was steered to an older version',
    explanation:
      'The server says it speaks TLS 1.3 and yet chose an older version, which happens when something on the path altered the ClientHello (RFC 8446 section 4.1.3).',
    remedy: 'Look for a middlebox or an attacker between the two ends; do not retry with an older version.',
    stage: 1,
  },
  TLS_NO_COMMON_SUITE: {
    title: 'No common cipher suite',
    explanation: 'Each side has cipher suites of TLS 1.3, but no suite is on both lists.',
    remedy: 'Allow TLS_AES_128_GCM_SHA256 on both sides: every TLS 1.3 stack has it.',
    stage: 1,
  },
  TLS_NO_COMMON_GROUP: {
    title: 'No common key agreement group',
    explanation: 'Each side can agree on keys, but not by a group that is on both lists.',
    remedy: 'Allow x25519 or secp256r1 on both sides.',
    stage: 1,
  },
  TLS_NO_COMMON_SIGNATURE_SCHEME: {
    title: 'No common signature scheme',
    explanation:
      'The key of our certificate can make no signature that the peer accepts, so its holder could not be proven.',
    remedy:
      'Use a certificate with an ECDSA P-256 key, or allow the scheme of this key at the peer. RSA keys sign as rsa_pss_rsae in TLS 1.3.',
    stage: 3,
  },
  TLS_NO_MATCHING_ISSUER: {
    title: 'No certificate from an authority that the peer names',
    explanation:
      'The peer listed the authorities that it trusts, and each of our certificates is reserved for others.',
    remedy:
      'Have a certificate issued by one of the authorities that the peer lists, or add ours to its trust bundle.',
    stage: 3,
  },
  TLS_NO_APPLICATION_PROTOCOL: {
    title: 'No common application protocol (ALPN)',
    explanation:
      'Both sides named the protocols they speak after the handshake, and none is on both lists: the right stack, the wrong answer.',
    remedy: 'Make the ALPN lists of both sides share a protocol, such as h2 or http/1.1.',
    stage: 1,
  },
  TLS_UNRECOGNIZED_NAME: {
    title: 'No certificate for the name asked for (SNI)',
    explanation:
      'The client asked for a server name that this server has no certificate for. SNI is what picks the certificate.',
    remedy: 'Correct the name that the client asks for, or give the server a certificate for it.',
    stage: 3,
  },
  TLS_CERTIFICATE_REQUIRED: {
    title: 'The client showed no certificate',
    explanation:
      'This server lets nobody in who does not prove an identity, and the client answered the request with an empty Certificate. Plain TLS clients do so.',
    remedy:
      'Give the client a certificate and key that this server trusts, or have it go through its sidecar.',
    stage: 3,
  },
  TLS_CERTIFICATE_REJECTED: {
    title: 'The certificate of the peer was refused',
    explanation: 'The peer showed a certificate that does not prove an identity accepted here.',
    remedy: 'The message names the certificate and the rule; renew or replace it at the peer.',
    stage: 3,
  },
  TLS_BAD_COMPRESSION: {
    title: "The peer's compressed certificate cannot be restored",
    explanation:
      'The peer compressed its Certificate (RFC 8879) in a way that we offered, and what came does not decompress to the length that it announces, or to more than is accepted.',
    remedy:
      'Check which software and version the peer runs; without compression of certificates on either side the question does not arise.',
    stage: 3,
  },
  TLS_NO_COMMON_CERTIFICATE_TYPE: {
    title: 'One side shows a certificate, the other wants a raw public key, or the reverse',
    explanation:
      'The two sides negotiate whether each proves itself by X.509 certificate or by key alone (RFC 7250), and their settings leave nothing in common.',
    remedy:
      'Give the proving side a credential of the kind that the other accepts, or have that one accept more.',
    stage: 3,
  },
  TLS_BAD_SIGNATURE: {
    title: 'The peer did not prove possession of its key',
    explanation:
      'A certificate is a claim; the signature over this handshake (CertificateVerify) is the proof, and it does not verify. Either the peer signs with the key of another certificate, or somebody shows a certificate that is not theirs.',
    remedy:
      'Check that certificate and key of the peer belong together. If they do, treat it as an attempt to impersonate.',
    stage: 3,
  },
  TLS_ECH_UNREADABLE: {
    title: 'The second encrypted ClientHello could not be decrypted',
    explanation:
      'The first ClientHello of this connection was encrypted to a key of ours and could be read; the second goes on with the same keys and could not. The client has a defect, or somebody altered the message on its way.',
    remedy: 'Check which software the client runs, and look for a middlebox that rewrites TLS.',
    stage: 1,
  },
  TLS_ECH_REJECTED: {
    title: 'The server could not read the encrypted ClientHello',
    explanation:
      'Our ClientHello was encrypted to a config (ECH) that the server does not know, or knows no more. It proved by its certificate for the public name that it may say so; the name we meant was never shown to it or to anyone on the way.',
    remedy:
      'Connect again with the configs that came with the rejection. If none came, the server speaks ECH no more: fetch its current configs, or decide to connect without.',
    stage: 1,
  },
  TLS_BAD_FINISHED: {
    title: 'The two sides did not see the same messages',
    explanation:
      'Finished is computed over everything said so far, and that of the peer does not match: something altered a message on its way, or one side computes it wrongly.',
    remedy: 'Look for a middlebox that rewrites TLS; do not go on over this path.',
    stage: 4,
  },
  TLS_BAD_BINDER: {
    title: 'The client could not prove that the pre-shared key it offers is its own',
    explanation:
      'A ticket, or a key that both sides were given, is bound to the handshake by a binder made with the key; this one does not match.',
    remedy:
      'With a ticket, check which software the client runs: a stolen or altered ticket looks the same. With an external pre-shared key, compare the key and its hash on both sides; the identity does match.',
    stage: 2,
  },
  TLS_NO_COMMON_PSK: {
    title: 'No common pre-shared key',
    explanation:
      'The server accepts only keys that both sides were given beforehand, or the client only such keys, and none is on both lists. Identity, context, protocol and hash of an imported key (RFC 9258) must match byte for byte, and it must be offered with a key agreement.',
    remedy:
      'Compare the identities and contexts of the external keys on both sides, or give the server a certificate that the client accepts.',
    stage: 1,
  },
  TLS_EARLY_DATA_LIMIT: {
    title: 'The client sent more early data than is accepted',
    explanation:
      'Early data (0-RTT) is bounded, because it comes before the client is known and may be a replay.',
    remedy:
      'Raise the limit of early data at the server, or let the client wait for the handshake with large requests.',
    stage: 5,
  },
  TLS_BAD_KEY_SHARE: {
    title: 'The key share of the peer is not valid',
    explanation:
      'Its public value is malformed or would lead to a secret that others can guess, so no keys were derived.',
    remedy: 'Check which software and version the peer runs; this is a defect there, or tampering.',
    stage: 2,
  },
  TLS_BAD_RECORD_MAC: {
    title: 'A record failed its integrity check',
    explanation:
      'It was altered on its way, or sealed under other keys than ours. Nothing of it was passed on.',
    remedy:
      'If it recurs, look for a faulty link or a middlebox that rewrites traffic; a key share altered on its way shows like this too.',
  },
  TLS_RECORD_OVERFLOW: {
    title: 'A record is longer than allowed',
    explanation: 'Records hold at most 16 KiB of content (RFC 8446 section 5).',
    remedy: 'Check that the peer speaks TLS on this port, and which software it runs.',
  },
  TLS_MESSAGE_TOO_LONG: {
    title: 'A handshake message is too long',
    explanation:
      'It exceeds what this endpoint accepts, a limit that keeps strangers from filling its memory.',
    remedy: 'Shorten the certificate chain of the peer: leave out the root and what is not on the path.',
  },
  TLS_HELD_LIMIT: {
    title: 'More came than is held while we wait for an answer',
    explanation:
      'The handshake waits for something outside, such as a signature or a shared ticket store, and the peer kept sending meanwhile.',
    remedy: 'Find out why the outside answers late, and pause the transport while the connection waits.',
  },
  TLS_FLOOD: {
    title: 'The peer sends records that carry nothing',
    explanation: 'Records without content cost work and are cut off at a limit.',
    remedy: 'Check which software the peer runs; if it is unknown, treat it as an attack.',
  },
  TLS_KEY_LIMIT: {
    title: 'A key has protected as much as it safely can',
    explanation: 'Beyond the limit of RFC 8446 section 5.5 the margin of the cipher shrinks.',
    remedy: 'Open a new connection.',
    stage: 5,
  },
  TLS_PEER_ALERT: {
    title: 'The other side refused',
    explanation: 'The peer ended the connection with an alert and alone knows the details.',
    remedy: 'Look at the log of the peer at this time.',
  },
  TLS_TRUNCATED: {
    title: 'The connection ended without a goodbye',
    explanation:
      'A clean end is announced by close_notify. Without it nobody can tell the end of the data from a cut wire, so what came may be incomplete.',
    remedy: 'Check whether the peer crashed or was restarted, and for idle timeouts of proxies between.',
    stage: 5,
  },
  TLS_HANDSHAKE_TRUNCATED: {
    title: 'The connection ended in the middle of the handshake',
    explanation:
      'The peer, or something between, closed the connection without saying why. Health checks and port scans look like this, and so do peers that refuse without an alert.',
    remedy:
      'Look at the log of the peer at this time; check that nothing between limits or resets connections.',
  },
  TLS_HANDSHAKE_TIMEOUT: {
    title: 'The peer did not finish the handshake in time',
    explanation: 'It accepted the connection and then fell silent, or the network drops larger packets.',
    remedy: 'Check the load of the peer and the path MTU; a TLS port that waits may also be a plaintext one.',
  },
  TLS_MISUSE: {
    title: 'The engine was used out of order',
    explanation: 'Our own program asked for something that the state of the connection does not allow.',
    remedy: 'Report it with the output under HANDFAST_DEBUG=1.',
  },
  TLS_BAD_OPTIONS: {
    title: 'The options of the connection contradict themselves',
    explanation: 'What was asked for cannot be carried out by this build.',
    remedy: 'Correct the option that the message names.',
    stage: 1,
  },
  TLS_INTERNAL: {
    title: 'An internal failure',
    explanation: 'The engine met something that it does not know; the connection was ended to be safe.',
    remedy: 'Report it with the output under HANDFAST_DEBUG=1.',
  },
}

/** The network ended it. The codes are of a layer above, where sockets are. */
const NETWORK_FAILURES: Readonly<Record<string, FailureEntry>> = {
  NET_CONNECTION_REFUSED: {
    title: 'Nothing listens there',
    explanation:
      'The machine answered that no program accepts connections on this port, or a firewall said so.',
    remedy: 'Check that the peer runs, and the address and port.',
    stage: 1,
  },
  NET_NAME_NOT_RESOLVED: {
    title: 'The host name has no address',
    explanation: 'The resolver of this machine knows no address for the name.',
    remedy: 'Check the spelling and the DNS search domains; names of cluster services only resolve inside.',
    stage: 1,
  },
  NET_UNREACHABLE: {
    title: 'There is no route to the address',
    explanation: 'The network of this machine does not lead there.',
    remedy: 'Check routes, network policies and whether the address family is enabled.',
    stage: 1,
  },
  NET_TIMEOUT: {
    title: 'The connection was not answered in time',
    explanation: 'The packets are dropped on the way, or the machine is down or overloaded.',
    remedy: 'Check firewalls and network policies between the two ends.',
  },
  NET_RESET: {
    title: 'The connection was cut',
    explanation:
      'The other side, or something between, reset the connection without an alert. Crashed programs, full backlogs and firewalls do so.',
    remedy: 'Look at the log of the peer at this time; check what lies between the two ends.',
  },
}

const ALL: Readonly<Record<TlsErrorCode | PkiErrorCode | IdentityErrorCode, FailureEntry>> &
  Readonly<Record<string, FailureEntry>> = {
  ...TLS_FAILURES,
  ...PKI_FAILURES,
  ...IDENTITY_FAILURES,
  ...NETWORK_FAILURES,
}

/** The row of a code; undefined for codes that tell nothing of a handshake. */
export function failureOf(code: string): FailureEntry | undefined {
  return Object.hasOwn(ALL, code) ? ALL[code] : undefined
}
