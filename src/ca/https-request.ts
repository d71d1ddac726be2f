import type { ClientRequest } from 'node:http'
import { request } from 'node:https'

/** Whoever is asked answers in much less, and is asked again. */
const TIMEOUT_MS = 5_000

/** A pod has some ten kilobytes, a key set less. */
const MAX_ANSWER_BYTES = 1024 * 1024

export interface HttpsRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** PEM. @default the authorities that the system trusts */
  readonly ca?: string
}

export interface HttpsAnswer {
  readonly status: number
  readonly text: string
}

/** One request by HTTPS and its whole answer. Redirects are answers like others. @throws Error for anything else */
export function httpsRequest(
  url: string,
  { method = 'GET', headers = {}, body, ca }: HttpsRequest = {},
): Promise<HttpsAnswer> {
  return wholeAnswer(
    request(url, {
      method,
      headers,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(ca !== undefined && { ca }),
    }),
    body,
  )
}

/** Sends a request, and reads its answer to the end. @throws Error for a connection that breaks, or too long an answer */
export function wholeAnswer(call: ClientRequest, body?: string): Promise<HttpsAnswer> {
  return new Promise((resolve, reject) => {
    call.on('response', (answer) => {
      const parts: Buffer[] = []
      let bytes = 0
      answer.on('data', (part: Buffer) => {
        parts.push(part)
        bytes += part.length
        if (bytes > MAX_ANSWER_BYTES)
          answer.destroy(new Error(`The answer has more than ${MAX_ANSWER_BYTES} bytes`))
      })
      answer.on('error', reject)
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
      )
    })
    call.on('error', reject)
    call.end(body)
  })
}
