/** The end of a handshake: both sides prove that they saw the same messages (RFC 8446 §4.4.4). */
import { equalBytes } from '../bytes/bytes.ts'
import { TlsError } from './errors.ts'
import type { Handshake, HandshakeContext } from './handshake.ts'
import { finishedMac } from './key-schedule.ts'
import { encodeMessage } from './messages/handshake-message.ts'
import { HandshakeType, type CipherSuiteParameters } from './registry.ts'

/** Awaits the peer's Finished. @throws TlsError TLS_BAD_FINISHED */
export function* expectFinished(
  hs: HandshakeContext,
  suite: CipherSuiteParameters,
  peerSecret: Uint8Array,
): Handshake<void> {
  const expected = finishedMac(hs.crypto, suite.hash, peerSecret, hs.transcript.hash())
  const { body } = yield* hs.expect(HandshakeType.finished)
  if (!equalBytes(body, expected)) {
    throw new TlsError(
      'TLS_BAD_FINISHED',
      "The peer's Finished does not match the messages we saw: they were altered on the way",
    )
  }
  hs.trace({ kind: 'transcript', atMs: hs.nowMs })
}

/** Sends ours. */
export function sendFinished(
  hs: HandshakeContext,
  suite: CipherSuiteParameters,
  ownSecret: Uint8Array,
): void {
  const mac = finishedMac(hs.crypto, suite.hash, ownSecret, hs.transcript.hash())
  hs.send(encodeMessage(HandshakeType.finished, (body) => body.bytes(mac)))
}
