import { callHttp } from '../call-http.ts'
import { seenBy } from '../application.ts'
import { REQUEST_TIMEOUT_MS } from '../limits.ts'
import { ITEMS } from '../shop.ts'
import type { Step } from '../step.ts'
import { decisionText, missText, newRequestsText } from '../words.ts'

const ITEM = `/items/${ITEMS[0]!.name}`

const ATTEMPTS = [
  { method: 'DELETE', path: ITEM, field: 'rules[0].to[0].methods' },
  { method: 'GET', path: '/orders', field: 'rules[0].to[0].paths' },
] as const

/** web may read items, and do nothing else. */
export const deniedRequest: Step = {
  title: 'web asks for more than it may: denied',
  did: ({ web }) => `DELETE http://${web.outbound}${ITEM}, then GET /orders, through web's own sidecar.`,
  proves:
    'The identity is right and the request is not: each request on a connection is judged by its method and path too, ' +
    'and the reason names the field of the rule that it missed.',
  async run({ web, catalog }, { evidence, signal }) {
    const before = await seenBy(catalog.app, signal)
    for (const { method, path, field } of ATTEMPTS) {
      const answer = await callHttp(`http://${web.outbound}${path}`, {
        method,
        timeoutMs: REQUEST_TIMEOUT_MS,
        signal,
      })
      evidence.saw('web got', `${answer.status} ${answer.text.trim()} for ${method} ${path}`)
      evidence.expect(answer.status === 403, `403 for ${method} ${path}`, String(answer.status))
      const decision = await catalog.admin.decision(String(answer.headers['x-handfast-decision'] ?? ''))
      evidence.saw('operator reads', decisionText(decision))
      const miss = decision.considered?.[0]
      evidence.saw('it missed', missText(miss))
      evidence.expect(
        decision.kind === 'denial' && miss?.field === field,
        `a denial for missing ${field}`,
        `${decision.kind} for missing ${missText(miss)}`,
      )
    }
    const after = await seenBy(catalog.app, signal)
    evidence.saw('catalog, the app', newRequestsText(before, after))
    evidence.expect(
      after.count === before.count,
      'catalog to have seen no request',
      newRequestsText(before, after),
    )
  },
}
