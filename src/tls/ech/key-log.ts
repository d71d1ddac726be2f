import type { HandshakeContext } from '../handshake.ts'
import type { ClientHello } from '../messages/client-hello.ts'
import type { EchConfig } from './config.ts'

/**
 * What reads an encrypted ClientHello (RFC 9850 §2.3): its lines go by the random of the outer one, which is all that an
 * observer has; those of the connection go by the random of the hello that counts.
 */
export function logEch(
  hs: HandshakeContext,
  { random }: Pick<ClientHello, 'random'>,
  config: EchConfig,
  sharedSecret: Uint8Array,
): void {
  hs.logSecret('ECH_SECRET', random, sharedSecret)
  hs.logSecret('ECH_CONFIG', random, config.encoded)
}
