import type { HandshakeContext } from './handshake.ts'
import { finishedMac, type EarlyStage, type PreSharedKeyOrigin } from './key-schedule.ts'
import type { HashName } from '../crypto/provider.ts'

/** What a pre-shared key is bound to a ClientHello with. */
export interface BindingKey {
  readonly hash: HashName
  readonly stage: EarlyStage
  readonly origin: PreSharedKeyOrigin
}

/** The MAC that proves possession of a pre-shared key (RFC 8446 §4.2.11.2). */
export function pskBinder(
  { crypto, transcript }: HandshakeContext,
  { hash, stage, origin }: BindingKey,
  truncatedHello: Uint8Array,
): Uint8Array {
  const key = stage.binderKey(origin)
  const binder = finishedMac(crypto, hash, key, transcript.hashWith(hash, truncatedHello))
  key.fill(0)
  return binder
}
