import { callHttp } from '../call-http.ts'
import { seenBy } from '../application.ts'
import { REQUEST_TIMEOUT_MS } from '../limits.ts'
import { idOf } from '../shop.ts'
import type { Step } from '../step.ts'
import { decisionText, missText, newRequestsText } from '../words.ts'

/** intruder is who it says, and not allowed. */
export const deniedIdentity: Step = {
  title: 'intruder asks catalog: denied',
  did: ({ intruder }) =>
    `GET http://${intruder.outbound}/items: what web's sidecar would carry, sent through intruder's.`,
  proves:
    'A valid certificate of the same authority is not enough. The caller learns an id and nothing else; the operator ' +
    'looks the reason up under that id; the application was never asked.',
  async run({ intruder, catalog }, { evidence, signal }) {
    const before = await seenBy(catalog.app, signal)
    const answer = await callHttp(`http://${intruder.outbound}/items`, {
      timeoutMs: REQUEST_TIMEOUT_MS,
      signal,
    })
    const id = String(answer.headers['x-handfast-decision'] ?? '')
    evidence.saw('intruder got', `${answer.status} ${answer.text.trim()}`)
    evidence.expect(
      answer.status === 403 && answer.text.trim() === JSON.stringify({ decision: id }),
      '403 with the id of the decision and nothing else',
      `${answer.status} ${answer.text.trim()}`,
    )

    const decision = await catalog.admin.decision(id)
    evidence.saw('operator reads', decisionText(decision))
    evidence.saw('it missed', missText(decision.considered?.[0]))
    evidence.expect(
      decision.kind === 'denial' &&
        decision.cause === 'no-matching-rule' &&
        decision.request.principal === idOf('intruder'),
      `a denial of ${idOf('intruder')}, because no rule matches`,
      `${decision.kind} of ${decision.request.principal}, ${decision.cause}`,
    )

    const after = await seenBy(catalog.app, signal)
    evidence.saw('catalog, the app', newRequestsText(before, after))
    evidence.expect(
      after.count === before.count,
      'catalog to have seen no request',
      newRequestsText(before, after),
    )
  },
}
