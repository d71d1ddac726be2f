import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { ProxyError } from './errors.ts'
import {
  beginRequest,
  checkWarrant,
  type ForwardResult,
  type HttpRoute,
  type HttpWarrant,
} from './http-forward.ts'
import { endToEnd } from './http-headers.ts'
import { http } from './node-http.ts'

/** What an upgrade request came with. */
export interface UpgradeRequest {
  readonly incoming: IncomingMessage
  /** The client's connection, no longer read as HTTP. */
  readonly client: Duplex
  /** What the client sent behind the request. */
  readonly head: Buffer
}

/**
 * Protocols that may take a connection over. WebSocket is judged once, by its request; anything that multiplexes
 * requests of its own (h2c) would carry requests that policy never sees.
 */
export function isPassedUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * Passes an upgrade request on, and after a 101 all bytes both ways until either side ends.
 *
 * @returns when it is over; without status, nothing has been sent to the client yet
 */
export function forwardUpgrade(
  warrant: HttpWarrant,
  { incoming, client, head }: UpgradeRequest,
  route: HttpRoute,
): Promise<ForwardResult> {
  checkWarrant(warrant)
  return new Promise((resolve) => {
    let requestBytes = 0
    let responseBytes = 0
    let status: number | undefined
    let stream: object | undefined
    let over = false
    const outgoing = beginRequest(incoming, route, ['Connection', 'Upgrade', 'Upgrade', 'websocket'])

    outgoing.once('socket', (socket) => (stream = socket))
    outgoing.once('upgrade', tunnel)
    outgoing.once('response', refuse)
    outgoing.on('error', finish)
    client.on('error', finish)
    client.once('close', () => finish())
    outgoing.end()

    function tunnel(answer: IncomingMessage, server: Duplex, first: Buffer): void {
      status = 101
      server.on('error', finish)
      server.once('close', () => finish())
      client.write(headOf(answer), 'latin1')
      // Before anyone listens: to a stream that flows already, these would be lost on the pipes.
      if (first.length > 0) server.unshift(first)
      if (head.length > 0) client.unshift(head)
      client.on('data', (chunk: Buffer) => (requestBytes += chunk.length))
      server.on('data', (chunk: Buffer) => (responseBytes += chunk.length))
      client.pipe(server)
      server.pipe(client)
    }

    /** The server answers in HTTP after all: its response is passed on, and the connection ends with it. */
    function refuse(answer: IncomingMessage): void {
      status = answer.statusCode ?? 502
      const response = new http.ServerResponse(incoming)
      response.shouldKeepAlive = false
      response.assignSocket(client as Parameters<ServerResponse['assignSocket']>[0])
      response.writeHead(status, answer.statusMessage, [...endToEnd(answer), 'Connection', 'close'])
      answer.on('data', (chunk: Buffer) => (responseBytes += chunk.length))
      answer.once('error', (error) =>
        finish(new ProxyError('PROXY_UPSTREAM_GONE', 'The response broke off', { cause: error })),
      )
      answer.pipe(response)
      response.once('finish', () => {
        client.end()
        finish()
      })
    }

    function finish(error?: Error): void {
      if (over) return
      over = true
      if (status === 101 || error !== undefined) {
        // Each ends the other: in order when it has ended in order, else as broken as it is.
        outgoing.destroy(error)
        if (stream !== undefined) endLike(stream as Duplex, error)
        if (status !== undefined) endLike(client, error)
      }
      resolve({
        ...(status !== undefined && { status }),
        requestBytes,
        responseBytes,
        ...(error !== undefined && { error }),
        stream,
      })
    }
  })
}

function endLike(stream: Duplex, error: Error | undefined): void {
  if (error === undefined && stream.writableFinished && stream.readableEnded) return
  stream.destroy()
}

/** Only the head is rewritten from its parts; it says what the server said. */
function headOf({ statusMessage, rawHeaders }: IncomingMessage): string {
  let text = `HTTP/1.1 101 ${statusMessage ?? 'Switching Protocols'}\r\n`
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return `${text}\r\n`
}
