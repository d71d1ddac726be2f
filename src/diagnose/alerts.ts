/** What a peer says by an alert, for the one who receives it. The alert is all we know: the peer's log knows more. */
import type { AlertName } from '../tls/alerts.ts'
import type { StageNumber } from './explanation.ts'

/** One row: what it says about us, and what to do. */
export interface AlertMeaning {
  readonly meaning: string
  readonly remedy: string
  /** The stage it belongs to. @default the first stage that was not answered */
  readonly stage?: StageNumber
}

const LOOK_THERE = 'Look at the log of the peer at this time: an alert carries no details on purpose.'

const MEANINGS: Readonly<Partial<Record<AlertName, AlertMeaning>>> = {
  unexpected_message: { meaning: 'one of our messages came out of turn for it', remedy: LOOK_THERE },
  bad_record_mac: {
    meaning: 'a record of ours failed its integrity check: altered on its way, or the keys differ',
    remedy: 'Look for a middlebox that rewrites traffic.',
  },
  record_overflow: { meaning: 'a record of ours was too long for it', remedy: LOOK_THERE },
  handshake_failure: {
    meaning: 'it found no set of parameters that both sides accept',
    remedy: 'Compare cipher suites, groups and signature schemes of both sides.',
    stage: 1,
  },
  bad_certificate: {
    meaning: 'our certificate is malformed for it, or breaks one of its rules',
    remedy:
      'Compare our certificate with the rules of the peer: exactly one SPIFFE ID, the name it expects, key usage.',
    stage: 3,
  },
  unsupported_certificate: {
    meaning: 'our certificate is of a kind it does not accept',
    remedy: 'Check key type, key usage and extended key usage of our certificate.',
    stage: 3,
  },
  certificate_revoked: {
    meaning: 'our certificate has been revoked',
    remedy:
      'Find out why it was revoked, in a mesh by handfast ca revoke list at the controller; then request a new one.',
    stage: 3,
  },
  certificate_expired: {
    meaning: 'our certificate is not valid at this moment by its clock',
    remedy: 'Renew our certificate; if it is still valid here, compare the clocks of both machines.',
    stage: 3,
  },
  certificate_unknown: {
    meaning: 'it does not accept our certificate, for a reason it keeps to itself',
    remedy: LOOK_THERE,
    stage: 3,
  },
  illegal_parameter: { meaning: 'a field of ours contradicts the negotiation, it says', remedy: LOOK_THERE },
  unknown_ca: {
    meaning: 'it does not trust the authority that issued our certificate, or our chain is incomplete',
    remedy: 'Give the peer our trust bundle, and check that we send every intermediate certificate.',
    stage: 3,
  },
  access_denied: {
    meaning: 'our certificate is valid, and access is denied to us all the same',
    remedy: 'Look at the policy of the peer for our identity.',
    stage: 3,
  },
  decode_error: { meaning: 'it could not read one of our messages', remedy: LOOK_THERE },
  decrypt_error: {
    meaning: 'a signature or a Finished of ours does not verify for it',
    remedy: 'Check that our certificate and key belong together, and for a middlebox that rewrites TLS.',
  },
  protocol_version: {
    meaning: 'it does not speak TLS 1.3',
    remedy: 'Turn TLS 1.3 on at the peer, or put its sidecar in front of it.',
    stage: 1,
  },
  insufficient_security: {
    meaning: 'it demands stronger parameters than we offered',
    remedy: 'Allow more cipher suites and groups on our side.',
    stage: 1,
  },
  internal_error: { meaning: 'it failed for a reason of its own', remedy: LOOK_THERE },
  inappropriate_fallback: {
    meaning: 'it took us for a client that fell back to an older version',
    remedy: LOOK_THERE,
    stage: 1,
  },
  user_canceled: { meaning: 'it gave up for a reason outside the protocol', remedy: LOOK_THERE },
  missing_extension: { meaning: 'it misses an extension in our message', remedy: LOOK_THERE, stage: 1 },
  unsupported_extension: {
    meaning: 'our message holds an extension that it did not offer',
    remedy: LOOK_THERE,
    stage: 1,
  },
  unrecognized_name: {
    meaning: 'it has no certificate for the server name that we asked for (SNI)',
    remedy: 'Correct the server name, or give the peer a certificate for it.',
    stage: 3,
  },
  decompression_failure: {
    meaning: 'it uses an alert of older versions, for compressed data',
    remedy: LOOK_THERE,
  },
  bad_certificate_status_response: {
    meaning: 'the revocation status that our certificate came with does not satisfy it',
    remedy: 'Renew the OCSP response that is stapled to the certificate.',
    stage: 3,
  },
  unknown_psk_identity: { meaning: 'it does not know the session we wanted to resume', remedy: LOOK_THERE },
  certificate_required: {
    meaning: 'it demands a client certificate and we showed none',
    remedy: 'Give our side a certificate and key that the peer trusts.',
    stage: 3,
  },
  ech_required: {
    meaning: 'it encrypted its ClientHello (ECH) to a config that we do not know, and will not go on without',
    remedy:
      'Publish the configs of the keys that the server has now, and keep old keys until they have expired.',
    stage: 1,
  },
  no_application_protocol: {
    meaning: 'it speaks none of the application protocols that we offered (ALPN)',
    remedy: 'Make the ALPN lists of both sides share a protocol, such as h2 or http/1.1.',
    stage: 1,
  },
}

/** What a received alert says; for those that no table knows, that it is one. */
export function alertMeaning(description: string): AlertMeaning {
  const known = Object.hasOwn(MEANINGS, description) ? MEANINGS[description as AlertName] : undefined
  return known ?? { meaning: `it ended the connection with the alert ${description}`, remedy: LOOK_THERE }
}
