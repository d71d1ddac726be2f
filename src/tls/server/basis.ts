import { TlsError } from '../errors.ts'
import type { Handshake, HandshakeContext } from '../handshake.ts'
import type { ServerOptions } from '../options.ts'
import { chooseProofs, type Proofs } from './authentication.ts'
import type { Chosen } from './choose.ts'
import { selectExternalPsk, selectTicket, type SelectedPsk } from './psks.ts'

/** What a connection rests on: a key that both sides have, or certificates. */
export type Basis =
  | { readonly psk: SelectedPsk; readonly proofs: undefined }
  | { readonly psk: undefined; readonly proofs: Proofs }

/**
 * A ticket comes first; the options say whether keys that were given beforehand or certificates come next.
 *
 * @throws TlsError
 */
export function* chooseBasis(hs: HandshakeContext, options: ServerOptions, chosen: Chosen): Handshake<Basis> {
  const ticket = yield* selectTicket(hs, options, chosen)
  if (ticket !== undefined) return { psk: ticket, proofs: undefined }
  const attempt = prefersCertificate(options) ? yield* tryProofs(options, chosen) : undefined
  if (attempt !== undefined && !(attempt instanceof TlsError)) return { psk: undefined, proofs: attempt }
  const psk = yield* selectExternalPsk(hs, options, chosen)
  if (psk !== undefined) return { psk, proofs: undefined }
  if (attempt !== undefined) throw attempt
  return { psk: undefined, proofs: yield* chooseProofs(chosen.hello, options) }
}

function prefersCertificate({ preferCertificate = false, credential, externalPsks }: ServerOptions): boolean {
  return preferCertificate && credential !== undefined && externalPsks !== undefined
}

/** What keeps the client from certificates is held back: a key may still serve. */
function* tryProofs(options: ServerOptions, { hello }: Chosen): Handshake<Proofs | TlsError> {
  try {
    return yield* chooseProofs(hello, options)
  } catch (thrown) {
    if (thrown instanceof TlsError && (thrown.blame === 'negotiation' || lacksExtension(thrown)))
      return thrown
    throw thrown
  }
}

/** A client that reads no certificates sends no signature_algorithms. */
function lacksExtension({ code }: TlsError): boolean {
  return code === 'TLS_MISSING_EXTENSION'
}
