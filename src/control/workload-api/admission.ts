import {
  experimental,
  type Metadata,
  type ServerCredentials as Credentials,
  ServerCredentials,
  ServerInterceptingCall,
  status,
} from '@grpc/grpc-js'

/** What every call must carry (SPIFFE Workload Endpoint §5), which no web page can be made to send. */
const SECURITY_HEADER = 'workload.spiffe.io'

/**
 * Credentials for the calls of one connection to the Workload API: they turn away what must not reach a handler.
 *
 * @param permitted whether the process at the other end is one that the operator permits
 */
export function workloadCredentials(permitted: boolean): Credentials {
  return experimental.createServerCredentialsWithInterceptors(ServerCredentials.createInsecure(), [
    (_method, call) =>
      new ServerInterceptingCall(call, {
        start: (next) =>
          next({
            onReceiveMetadata(metadata, pass) {
              const refusal = refusalOf(metadata, permitted)
              if (refusal === undefined) pass(metadata)
              else call.sendStatus(refusal)
            },
          }),
      }),
  ])
}

function refusalOf(
  metadata: Metadata,
  permitted: boolean,
): { readonly code: status; readonly details: string } | undefined {
  const values = metadata.get(SECURITY_HEADER)
  if (values.length !== 1 || values[0] !== 'true')
    return {
      code: status.INVALID_ARGUMENT,
      details: `Expected the metadata ${SECURITY_HEADER}: true`,
    }
  // What an identity is refused for is the operator's to know (SPIFFE Workload API §6).
  if (!permitted) return { code: status.PERMISSION_DENIED, details: 'No identity is meant for this process' }
  return undefined
}
