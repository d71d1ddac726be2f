import { request, type Agent, type IncomingHttpHeaders } from 'node:http'
import { DemoError } from '../errors.ts'

/** A whole answer. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export interface HttpCallOptions {
  /** @default GET */
  readonly method?: string
  /** Which connections to use; `false` takes a new one. @default Node's own agent */
  readonly agent?: Agent | false
  readonly timeoutMs: number
  /** Calls it off. */
  readonly signal?: AbortSignal
}

/**
 * Asks over plain HTTP and reads the whole answer.
 *
 * @throws DemoError DEMO_TIMEOUT, and what the network says
 */
export async function callHttp(url: string, options: HttpCallOptions): Promise<HttpAnswer> {
  const { method = 'GET', agent, timeoutMs, signal } = options
  const timeUp = AbortSignal.timeout(timeoutMs)
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>()
  const outgoing = request(
    url,
    {
      method,
      ...(agent !== undefined && { agent }),
      signal: signal === undefined ? timeUp : AbortSignal.any([timeUp, signal]),
    },
    (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => (text += chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text })
      })
    },
  )
  outgoing.on('error', reject)
  outgoing.end()
  try {
    return await promise
  } catch (error) {
    signal?.throwIfAborted()
    if (!timeUp.aborted) throw error
    throw new DemoError(
      'DEMO_TIMEOUT',
      `${method} ${url}: expected an answer within ${timeoutMs} ms, got none`,
      {
        cause: error,
      },
    )
  }
}
