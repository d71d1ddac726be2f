/**
 * A cookie lets a server forget a client between HelloRetryRequest and the second ClientHello: it carries what must
 * be remembered, under a MAC (RFC 8446 §4.2.2).
 */
import { equalBytes } from '../../bytes/bytes.ts'
import { readAll } from '../../bytes/reader.ts'
import { Writer } from '../../bytes/writer.ts'
import { HASH_BYTES, type CryptoProvider, type GroupName } from '../../crypto/provider.ts'
import { TlsError } from '../errors.ts'
import { groupOf, suiteOf, type NegotiationPolicy } from '../policy.ts'
import { NamedGroup, type CipherSuiteParameters } from '../registry.ts'

const MAC_HASH = 'sha256'

/** What the first ClientHello has settled. */
export interface RetryState {
  readonly suite: CipherSuiteParameters
  readonly group: GroupName
  /** The hash of the first ClientHello, which stands for it in the transcript. */
  readonly helloHash: Uint8Array
}

export function sealCookie(
  crypto: CryptoProvider,
  key: Uint8Array,
  { suite, group, helloHash }: RetryState,
): Uint8Array {
  const state = new Writer().uint16(suite.code).uint16(NamedGroup[group]).bytes8(helloHash).finish()
  return new Writer()
    .bytes(state)
    .bytes(crypto.hmac(MAC_HASH, key, state))
    .finish()
}

/** @throws TlsError TLS_ILLEGAL_PARAMETER for a cookie that is not ours, or that another configuration made */
export function openCookie(
  crypto: CryptoProvider,
  key: Uint8Array,
  cookie: Uint8Array,
  policy: NegotiationPolicy,
): RetryState {
  const state = cookie.subarray(0, Math.max(0, cookie.length - HASH_BYTES[MAC_HASH]))
  if (!equalBytes(cookie.subarray(state.length), crypto.hmac(MAC_HASH, key, state))) {
    throw new TlsError('TLS_ILLEGAL_PARAMETER', 'The cookie of the second ClientHello is not ours')
  }
  return readAll(state, 'cookie', (reader) => {
    const suite = suiteOf(reader.uint16('cipher_suite'), policy.suites)
    const group = groupOf(reader.uint16('group'), policy.groups)
    const helloHash = reader.bytes8('hello_hash').slice()
    if (suite !== undefined && group !== undefined) return { suite, group, helloHash }
    throw new TlsError(
      'TLS_ILLEGAL_PARAMETER',
      'The cookie names a suite or group that is no longer accepted here',
    )
  })
}
