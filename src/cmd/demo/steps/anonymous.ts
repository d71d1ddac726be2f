import { seenBy } from '../application.ts'
import { COMMAND_TIMEOUT_MS, RECORD_TIMEOUT_MS } from '../limits.ts'
import { runVerb } from '../program.ts'
import { idOf } from '../shop.ts'
import type { ExplainedHandshake } from '../sidecar-admin.ts'
import type { Step } from '../step.ts'
import { until } from '../wait.ts'
import { failureText, newRequestsText } from '../words.ts'

/** Who shows no certificate is nobody. */
export const anonymous: Step = {
  title: 'a client without a certificate: refused',
  did: ({ catalog }) =>
    `handfast tls connect ${catalog.inbound}: our own engine, which trusts the mesh's authority and has no certificate to show.`,
  proves:
    'TLS alone is not enough either: the server proved itself to this client, and still would not talk to somebody it ' +
    'cannot name. Both sides can say why.',
  async run({ catalog, trustBundleFile }, { evidence, env, signal }) {
    const before = await seenBy(catalog.app, signal)
    const known = new Set((await catalog.admin.handshakes()).map(({ id }) => id))
    const { code, stderr } = await runVerb(
      ['tls', 'connect', catalog.inbound, '--ca', trustBundleFile, '--spiffe-id', idOf('catalog'), '--json'],
      { env, timeoutMs: COMMAND_TIMEOUT_MS, signal, input: 'GET /items HTTP/1.1\r\nHost: catalog\r\n\r\n' },
    )
    const client = lastJson(stderr)
    const alert = client?.failure?.alert
    evidence.saw('the client', `exit code ${code}; it had verified ${client?.settled.peer?.name ?? 'nobody'}`)
    evidence.saw(
      '',
      `then came the alert ${alert?.description ?? 'none'} from the ${alert?.from ?? 'other side'}`,
    )
    evidence.expect(
      code === 1 && alert?.description === 'certificate_required' && alert.from === 'server',
      'exit code 1 and the alert certificate_required from the server',
      `exit code ${code} and ${stderr.trim()}`,
    )

    const explained = await until(
      async () => {
        const handshakes = await catalog.admin.handshakes()
        const failed = handshakes.find(({ id, outcome }) => !known.has(id) && outcome === 'failed')
        return failed && catalog.admin.explained(failed.id)
      },
      { what: "catalog's sidecar to list the failed handshake", timeoutMs: RECORD_TIMEOUT_MS, signal },
    )
    evidence.saw('operator reads', failureText(explained))
    evidence.expect(
      explained.failure?.alert?.description === 'certificate_required',
      'a handshake that failed for want of a certificate',
      failureText(explained),
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

/** The document that `--json` writes; it is the last line, and the only one that begins with a brace. */
function lastJson(stderr: string): ExplainedHandshake | undefined {
  const line = stderr.split('\n').findLast((text) => text.startsWith('{'))
  return line === undefined ? undefined : (JSON.parse(line) as ExplainedHandshake)
}
