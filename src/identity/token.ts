/** Signed tokens (RFC 7519, RFC 8725): whether one is what its issuer signed. What its claims are good for is asked elsewhere. */
import { CryptoError } from '../crypto/errors.ts'
import {
  isJwsAlgorithm,
  type Jws,
  type JwsAlgorithm,
  type JwsKey,
  parseJws,
  suits,
  verifyJws,
} from '../crypto/jws.ts'
import { TokenError } from './errors.ts'

/** Without a key id any may have signed; a set with more is there to make work. */
const MAX_KEYS_TRIED = 16

/** Who may have signed a token, and how. */
export interface TokenSigner {
  /** As tokens have it in `iss`, for messages. */
  readonly issuer: string
  readonly algorithms: readonly JwsAlgorithm[]
}

/** Reads a token and believes nothing of it. @throws TokenError TOKEN_MALFORMED */
export function parseToken(text: string): Jws {
  try {
    return parseJws(text)
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause
    throw new TokenError('TOKEN_MALFORMED', cause.message, { cause })
  }
}

/** @throws TokenError TOKEN_ALGORITHM unless the issuer may sign so; nobody is asked for keys before that */
export function checkAlgorithm({ algorithm }: Jws, { issuer, algorithms }: TokenSigner): void {
  if (isJwsAlgorithm(algorithm) && algorithms.includes(algorithm)) return
  throw new TokenError(
    'TOKEN_ALGORITHM',
    `The token is signed with ${JSON.stringify(algorithm)}, and ${issuer} may use ${algorithms.join(', ')}`,
  )
}

/**
 * Whether one of the issuer's keys has signed the token, in a way that the issuer may sign.
 *
 * @param keys those that the token may name, or all
 * @throws TokenError TOKEN_ALGORITHM, TOKEN_KEY, TOKEN_SIGNATURE
 */
export function checkSignature(jws: Jws, signer: TokenSigner, keys: readonly JwsKey[]): void {
  checkAlgorithm(jws, signer)
  const { keyId } = jws
  const algorithm = jws.algorithm as JwsAlgorithm
  const named = keyId === undefined ? keys : keys.filter((key) => key.keyId === keyId)
  const candidates = named.filter((key) => suits(key, algorithm))
  if (candidates.length === 0)
    throw new TokenError(
      'TOKEN_KEY',
      `The token names the key ${JSON.stringify(keyId)}, and ${signer.issuer} publishes none of that name for ${algorithm}`,
    )
  if (candidates.slice(0, MAX_KEYS_TRIED).some((key) => verifyJws(jws, key))) return
  throw new TokenError(
    'TOKEN_SIGNATURE',
    `The token is not signed by the key of ${signer.issuer} that it names`,
  )
}
