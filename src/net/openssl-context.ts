import { createSecureContext, type SecureContext } from 'node:tls'
import { encodePem } from '../pki/pem.ts'
import type { Certificate } from '../pki/certificate.ts'
import { encodePrivateKeyPem } from '../pki/private-key.ts'
import type { PrivateKey } from '../crypto/provider.ts'

/** What one side shows: a chain, leaf first, with the key of its leaf. */
export interface OpensslCredential {
  readonly chain: readonly Certificate[]
  readonly key: PrivateKey
}

/** The same as our own engine offers, by the same preference. */
const SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'
const GROUPS = 'X25519MLKEM768:X25519:P-256:P-384'

/** openssl/ssl.h */
const SSL_OP_NO_TICKET = 0x4000

/** One for each credential: OpenSSL reads key and chain anew for every context. */
const contexts = new WeakMap<OpensslCredential, SecureContext>()

/** TLS 1.3 alone, without resumption: what OpenSSL takes up again it does not show us whole. */
export function opensslContext(credential: OpensslCredential): SecureContext {
  const known = contexts.get(credential)
  if (known !== undefined) return known
  const context = createSecureContext({
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: SUITES,
    ecdhCurve: GROUPS,
    // The key leaves OpenSSL as text and goes back in: node:tls takes it in no other form.
    key: encodePrivateKeyPem(credential.key),
    cert: credential.chain.map(({ der }) => encodePem('CERTIFICATE', der)).join(''),
    // Nobody is trusted here: whom to trust is judged in our code, and OpenSSL's own verdict is not asked for.
    ca: [],
    secureOptions: SSL_OP_NO_TICKET,
  })
  contexts.set(credential, context)
  return context
}
