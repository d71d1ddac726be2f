import { decodeClientHello, type ClientHello } from '../messages/client-hello.ts'
import type { HandshakeMessage } from '../messages/handshake-message.ts'

/** A ClientHello with the message that it is. */
export interface EncodedHello {
  readonly hello: ClientHello
  readonly message: Uint8Array
}

/** A ClientHello as it went out: a rewriting test may have changed it. */
export function asSent({ hello, message }: EncodedHello, sent: HandshakeMessage): ClientHello {
  return sent.bytes === message ? hello : decodeClientHello(sent.body)
}
