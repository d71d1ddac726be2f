import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { identityText } from '../../diagnose/identity-text.ts'
import { momentText } from '../../diagnose/time-text.ts'
import { ConnectionDuplex } from '../../net/duplex.ts'
import type { SecureConnection } from '../../net/engine-connection.ts'
import type { Session } from '../../tls/session.ts'

const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

/**
 * Answers HTTP/1.1 requests on a connection, by Node's own server, each with a description of the session.
 *
 * @returns the number of requests answered
 * @throws HandfastError when the connection broke
 */
export async function answerHttp(connection: SecureConnection, signal: AbortSignal): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let requests = 0
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    requests++
    request.resume()
    const body = describeSession(connection)
    response.writeHead(200, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      ...(signal.aborted ? { connection: 'close' } : {}),
    })
    response.end(body)
  })
  // Whoever speaks something else is told so in order: what is wrong is with the request, not with the connection.
  server.on('clientError', () => stream.end(BAD_REQUEST))
  const stream = new ConnectionDuplex(connection)
  // Every request is answered alike and changes nothing, so that one which came early needs no care (RFC 8470 §3).
  if (connection.earlyData.length > 0) stream.push(connection.earlyData)
  const leave = (): void => {
    stream.end()
  }
  let failure: Error | undefined
  stream.once('error', (error: Error) => {
    failure = error
  })
  stream.once('close', () => (failure === undefined ? resolve(requests) : reject(failure)))
  signal.addEventListener('abort', leave, { once: true })
  server.emit('connection', stream)
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', leave)
    server.closeAllConnections()
  }
}

function describeSession({ session, earlyData }: SecureConnection): string {
  const { version, cipherSuite, group, alpn, serverName, resumed } = session
  const { peer, peerSignatureScheme } = session
  const rows: [string, string][] = [
    ['version', version],
    ['cipher suite', cipherSuite],
    ['group', group],
    ['server name', serverName ?? 'none asked for'],
    ['ALPN', alpn ?? 'none agreed'],
    ['resumed', resumed ? 'yes' : 'no'],
    ['early data', `${session.earlyData}, ${earlyData.length} bytes`],
    ['client', clientText(session)],
  ]
  if (peer !== undefined) rows.push(['known until', momentText(peer.expiresAtMs)])
  if (peerSignatureScheme !== undefined) rows.push(['proven by', peerSignatureScheme])
  const lines = rows.map(([label, value]) => `${label.padEnd(14)}${value}`)
  return `This is Handfast's own TLS 1.3 engine.\n\n${lines.join('\n')}\n`
}

function clientText({ peer, externalPsk }: Session): string {
  if (externalPsk !== undefined) return `holds the pre-shared key ${identityText(externalPsk)}`
  return peer?.name ?? 'showed no certificate'
}
