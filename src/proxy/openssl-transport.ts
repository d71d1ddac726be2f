import { opensslClient, opensslServer, type OpensslOptions } from '../net/openssl-connection.ts'
import type { TlsServices } from './mutual-tls.ts'
import type { MutualHandshake, SecureTransport } from './secure-transport.ts'

/** node:tls, with the same certificates, verified by the same code. */
export function opensslTransport({ nowMs, verifiers }: TlsServices): SecureTransport {
  return {
    name: 'openssl',
    connect: (raw, { peer }, handshake) => opensslClient(raw, optionsOf(handshake, peer), handshake),
    accept: (raw, handshake) => opensslServer(raw, optionsOf(handshake), handshake),
  }

  function optionsOf({ view, trace }: MutualHandshake, expected?: string): OpensslOptions {
    return {
      credential: view.svid,
      verifier: verifiers.under(view, expected),
      nowMs,
      trace,
    }
  }
}
