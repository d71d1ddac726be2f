import { callHttp } from './call-http.ts'
import { SEEN_PATH, type SeenRequests } from './app-server.ts'

const TIMEOUT_MS = 5_000

/** What an application says it has seen, asked past its sidecar. */
export async function seenBy(app: string, signal: AbortSignal): Promise<SeenRequests> {
  const { text } = await callHttp(`http://${app}${SEEN_PATH}`, { timeoutMs: TIMEOUT_MS, signal })
  return JSON.parse(text) as SeenRequests
}
