import { goesWithoutSaying, ownTypes, typesOfServers } from '../certificate-types.ts'
import type { Extensions } from '../messages/extensions.ts'
import type { ClientOptions } from '../options.ts'

/** Says what the server's Certificate may be like, and ours. */
export function offerCertificates(extensions: Extensions<'client_hello'>, options: ClientOptions): void {
  const { certificateCompression = [], requestOcspResponse, requestCertificateTimestamps } = options
  if (requestOcspResponse === true) extensions.add('status_request', { statusType: 'ocsp' })
  if (requestCertificateTimestamps === true) extensions.add('signed_certificate_timestamp', true)
  const serverTypes = typesOfServers(options)
  if (!goesWithoutSaying(serverTypes)) extensions.add('server_certificate_type', serverTypes)
  const clientTypes = ownTypes(options)
  if (!goesWithoutSaying(clientTypes)) extensions.add('client_certificate_type', clientTypes)
  if (certificateCompression.length > 0) {
    extensions.add(
      'compress_certificate',
      certificateCompression.map(({ algorithm }) => algorithm),
    )
  }
}
