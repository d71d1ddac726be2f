import { callHttp } from '../call-http.ts'
import { seenBy } from '../application.ts'
import { POLICY_NAME } from '../resources.ts'
import { idOf, ITEMS } from '../shop.ts'
import type { HandshakeSummary } from '../sidecar-admin.ts'
import { REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { Step } from '../step.ts'
import { decisionText } from '../words.ts'

/** web is allowed to read what catalog sells. */
export const allowed: Step = {
  title: 'web asks catalog: allowed',
  did: ({ web }) =>
    `GET http://${web.app}/ of web. To make its page web asks catalog for /items, in plain HTTP, through its sidecar.`,
  proves:
    'Two applications that know nothing of TLS talked over mutual TLS 1.3: each side proved a SPIFFE ID before a byte moved, ' +
    'and policy allowed this caller, this method and this path.',
  async run({ web, catalog }, { evidence, signal }) {
    const page = await callHttp(`http://${web.app}/`, { timeoutMs: REQUEST_TIMEOUT_MS, signal })
    const missing = ITEMS.filter(({ name }) => !page.text.includes(name))
    evidence.saw(
      'web answered',
      `${page.status}, a page with ${ITEMS.map(({ name, price }) => `${name} ${price}`).join(', ')}`,
    )
    evidence.expect(
      page.status === 200 && missing.length === 0,
      '200 and a page with every item of catalog',
      `${page.status} and ${JSON.stringify(page.text)}`,
    )

    const client = firstOf(await web.admin.handshakes(), 'outbound')
    const server = firstOf(await catalog.admin.handshakes(), 'inbound')
    evidence.saw(
      'between sidecars',
      [client?.version, client?.cipherSuite, client?.group].map((part) => part ?? 'nothing').join(', '),
    )
    evidence.saw("web's sidecar", `the other side proved to be ${client?.peer ?? 'nobody'}`)
    evidence.saw("catalog's sidecar", `the caller proved to be ${server?.peer ?? 'nobody'}`)
    evidence.expect(
      client?.peer === idOf('catalog') && server?.peer === idOf('web'),
      `the sidecars to have proven ${idOf('catalog')} and ${idOf('web')} to each other`,
      `${client?.peer ?? 'nobody'} and ${server?.peer ?? 'nobody'}`,
    )

    const [decision] = await catalog.admin.decisions()
    evidence.saw('decision', decisionText(decision))
    evidence.expect(
      decision?.kind === 'permit' && decision.policy === POLICY_NAME && decision.rule === 0,
      `a permit by rule 0 of ${POLICY_NAME}`,
      decisionText(decision),
    )

    const seen = await seenBy(catalog.app, signal)
    const [request] = seen.last
    const caller = /URI=([^;,]+)/.exec(request?.caller ?? '')?.[1]
    evidence.saw('catalog, the app', `saw ${request?.method} ${request?.path}; its sidecar named the caller:`)
    evidence.saw('', caller ?? 'nobody')
    evidence.expect(
      seen.count === 1 && caller === idOf('web'),
      'catalog to have seen one request, of web',
      `${seen.count}, the last of ${caller ?? 'nobody'}`,
    )
  },
}

function firstOf(
  handshakes: readonly HandshakeSummary[],
  direction: HandshakeSummary['direction'],
): HandshakeSummary | undefined {
  return handshakes.find((one) => one.direction === direction && one.outcome === 'established')
}
