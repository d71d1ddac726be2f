/** How a server says, to nobody but the client, that it has read the hello inside (RFC 9849 §7.2). */
import { equalBytes } from '../../bytes/bytes.ts'
import { hkdfExtract } from '../../crypto/hkdf.ts'
import type { CryptoProvider, HashName } from '../../crypto/provider.ts'
import { hkdfExpandLabel } from '../key-schedule.ts'
import { Extensions } from '../messages/extensions.ts'
import { encodeServerHello, type HelloRetryRequest, type ServerHello } from '../messages/server-hello.ts'
import type { Transcript } from '../transcript.ts'
import { ECH_CONFIRMATION_BYTES } from './extension.ts'

const LABELS = {
  server_hello: 'ech accept confirmation',
  hello_retry_request: 'hrr ech accept confirmation',
} as const

const NO_CONFIRMATION = new Uint8Array(ECH_CONFIRMATION_BYTES)

/** What the confirmation is computed over, besides the server's message. */
export interface ConfirmedHello {
  readonly hash: HashName
  /** The random of the hello inside. */
  readonly innerRandom: Uint8Array
  /** Up to the hello inside; after a HelloRetryRequest with the message_hash of the first one. */
  readonly transcript: Transcript
}

/** The server's message with the confirmation in it, in place of the end of its random or in an extension. */
export function confirmed(
  crypto: CryptoProvider,
  hello: ServerHello | HelloRetryRequest,
  confirmedHello: ConfirmedHello,
): ServerHello | HelloRetryRequest {
  return withConfirmation(hello, computeConfirmation(crypto, hello, confirmedHello))
}

/** Whether the server's message confirms that it read the hello inside. */
export function confirms(
  crypto: CryptoProvider,
  hello: ServerHello | HelloRetryRequest,
  confirmedHello: ConfirmedHello,
): boolean {
  const said = confirmationIn(hello)
  return said !== undefined && equalBytes(said, computeConfirmation(crypto, hello, confirmedHello))
}

function confirmationIn(hello: ServerHello | HelloRetryRequest): Uint8Array | undefined {
  return hello.kind === 'server_hello'
    ? hello.random.subarray(-ECH_CONFIRMATION_BYTES)
    : hello.extensions.value('encrypted_client_hello')
}

function withConfirmation(
  hello: ServerHello | HelloRetryRequest,
  confirmation: Uint8Array,
): ServerHello | HelloRetryRequest {
  if (hello.kind === 'server_hello') {
    const random = hello.random.slice()
    random.set(confirmation, random.length - ECH_CONFIRMATION_BYTES)
    return { ...hello, random }
  }
  const extensions = Extensions.from(hello.extensions).add('encrypted_client_hello', confirmation)
  return { ...hello, extensions }
}

function computeConfirmation(
  crypto: CryptoProvider,
  hello: ServerHello | HelloRetryRequest,
  { hash, innerRandom, transcript }: ConfirmedHello,
): Uint8Array {
  const message = encodeServerHello(withConfirmation(hello, NO_CONFIRMATION))
  const secret = hkdfExtract(crypto, hash, new Uint8Array(0), innerRandom)
  const transcriptHash = transcript.hashWith(hash, message)
  return hkdfExpandLabel(crypto, hash, secret, LABELS[hello.kind], transcriptHash, ECH_CONFIRMATION_BYTES)
}
