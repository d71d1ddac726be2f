import { opensslClient, opensslServer, type OpensslOptions } from '../net/openssl-connection.ts'
import { SpiffeId } from '../identity/spiffe-id.ts'
import { peerVerifier, type TlsServices } from './mutual-tls.ts'
import type { MutualHandshake, SecureTransport } from './secure-transport.ts'

/** node:tls, with the same certificates, verified by the same code. */
export function opensslTransport({ crypto, nowMs, certificates }: TlsServices): SecureTransport {
  return {
    name: 'openssl',
    connect: (raw, { peer }, handshake) =>
      opensslClient(raw, optionsOf(handshake, SpiffeId.parse(peer)), handshake),
    accept: (raw, handshake) => opensslServer(raw, optionsOf(handshake), handshake),
  }

  function optionsOf({ view, trace }: MutualHandshake, expected?: SpiffeId): OpensslOptions {
    return {
      credential: view.svid,
      verifier: peerVerifier({ crypto, certificates }, view, expected),
      nowMs,
      trace,
    }
  }
}
