import { create, type JsonObject } from '@bufbuild/protobuf'
import {
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
  status,
} from '@grpc/grpc-js'
import { utf8 } from '../../bytes/bytes.ts'
import type { CryptoProvider } from '../../crypto/provider.ts'
import { encodeJwtKeySet } from '../../identity/bundle-document.ts'
import { TokenError } from '../../identity/errors.ts'
import { validateJwtSvid } from '../../identity/jwt-svid.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import { ControlError } from '../errors.ts'
import {
  type JWTBundlesRequest,
  type JWTBundlesResponse,
  JWTBundlesResponseSchema,
  type JWTSVIDRequest,
  type JWTSVIDResponse,
  JWTSVIDResponseSchema,
  JWTSVIDSchema,
  type ValidateJWTSVIDRequest,
  type ValidateJWTSVIDResponse,
  ValidateJWTSVIDResponseSchema,
} from '../gen/workload-api_pb.ts'
import { identityWithin } from './identity-feed.ts'
import { stateStreamHandler, type StateStreamOptions } from './state-stream.ts'

type Refusal = Pick<StatusObject, 'code' | 'details'>

/** Answers FetchJWTSVID: a token for the audience that the caller names. */
export function jwtSvidHandler({
  identity,
  timers,
}: StateStreamOptions): (
  call: ServerUnaryCall<JWTSVIDRequest, JWTSVIDResponse>,
  reply: sendUnaryData<JWTSVIDResponse>,
) => void {
  const fetch = async ({ audience, spiffeId }: JWTSVIDRequest): Promise<JWTSVIDResponse | Refusal> => {
    if (audience.length === 0) return invalid('Expected an audience')
    const valid = await identityWithin(identity, timers)
    if (valid === undefined) return unavailable('There is no valid identity at present')
    const id = valid.svid.id.toString()
    if (spiffeId !== '' && spiffeId !== id)
      return { code: status.PERMISSION_DENIED, details: 'That identity is not meant for this process' }
    const { token } = await identity.issueToken(audience)
    return create(JWTSVIDResponseSchema, { svids: [create(JWTSVIDSchema, { spiffeId: id, svid: token })] })
  }
  return (call, reply) => void answer(fetch(call.request), reply)
}

/** Answers FetchJWTBundles: the keys of every trust domain, for callers that verify tokens themselves. */
export function jwtBundlesHandler(
  options: StateStreamOptions,
): (call: ServerWritableStream<JWTBundlesRequest, JWTBundlesResponse>) => void {
  return stateStreamHandler(
    {
      render: ({ bundles }) =>
        create(JWTBundlesResponseSchema, {
          bundles: Object.fromEntries(
            Array.from(bundles, (bundle) => [
              SpiffeId.ofTrustDomain(bundle.trustDomain).toString(),
              utf8(encodeJwtKeySet(bundle)),
            ]),
          ),
        }),
      differ: (one, other) => !one.bundles.equals(other.bundles),
    },
    options,
  )
}

/** Answers ValidateJWTSVID: whom a token proves to this audience. */
export function validateJwtSvidHandler(
  { identity, timers }: StateStreamOptions,
  crypto: CryptoProvider,
): (
  call: ServerUnaryCall<ValidateJWTSVIDRequest, ValidateJWTSVIDResponse>,
  reply: sendUnaryData<ValidateJWTSVIDResponse>,
) => void {
  const validate = async ({
    audience,
    svid,
  }: ValidateJWTSVIDRequest): Promise<ValidateJWTSVIDResponse | Refusal> => {
    if (audience === '') return invalid('Expected an audience')
    const valid = await identityWithin(identity, timers)
    if (valid === undefined) return unavailable('There are no trust bundles at present')
    try {
      const { id, claims } = validateJwtSvid(svid, {
        audience,
        bundles: valid.bundles,
        crypto,
        nowMs: timers.nowMs(),
      })
      return create(ValidateJWTSVIDResponseSchema, {
        spiffeId: id.toString(),
        claims: claims as JsonObject,
      })
    } catch (error) {
      // Its holder is on this machine and has the token: what is wrong with it is no secret.
      if (error instanceof TokenError) return invalid(`${error.message} (${error.code})`)
      throw error
    }
  }
  return (call, reply) => void answer(validate(call.request), reply)
}

async function answer<Response extends object>(
  result: Promise<Response | Refusal>,
  reply: sendUnaryData<Response>,
): Promise<void> {
  try {
    const response = await result
    if ('details' in response) reply(response)
    else reply(null, response)
  } catch (error) {
    reply(refusalOf(error))
  }
}

/** What the controller refuses is asked wrongly, or will not be given; everything else may be better later. */
function refusalOf(error: unknown): Refusal {
  if (error instanceof ControlError && error.refusal === 'CA_AUDIENCE') return invalid(error.message)
  if (error instanceof ControlError && error.code === 'CONTROL_REFUSED')
    return { code: status.PERMISSION_DENIED, details: 'The controller issues no token' }
  return unavailable('No token can be had at present')
}

function invalid(details: string): Refusal {
  return { code: status.INVALID_ARGUMENT, details }
}

function unavailable(details: string): Refusal {
  return { code: status.UNAVAILABLE, details }
}
