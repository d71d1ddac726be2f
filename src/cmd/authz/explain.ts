import type { RuleReport } from '../../authz/explain.ts'
import { DEFAULT_ADMIN, readAdminPage } from '../admin-client.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags, parseHostPort } from '../flags.ts'
import { verdictText } from './verdict-text.ts'

/** `handfast authz explain` */
export const authzExplain: Command = {
  summary: 'Say why a proxy allowed or denied a call, rule by rule',
  usage: `Usage: handfast authz explain DECISION-ID [--admin HOST:PORT] [--json]

Asks a running proxy about one of its last decisions, by the id that the peer was told (X-Handfast-Decision, the body of a 403, the
access log). Shows every rule that was asked: what each field wanted, what came, and what would have matched; and which revision of
policy decided, when this proxy got it and since when it is in force.

  --admin HOST:PORT   the proxy's spec.admin.listen (default ${DEFAULT_ADMIN})
  --json              print the document that the proxy gives
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values, positionals } = parseFlags(args, {
      options: {
        admin: { type: 'string', default: DEFAULT_ADMIN },
        json: { type: 'boolean', default: false },
      },
      positionals: ['DECISION-ID'],
    })
    const [id] = positionals as [string]
    const admin = parseHostPort('--admin', values.admin)
    const text = await readAdminPage(admin, `/decisions?id=${encodeURIComponent(id)}`, io.signal)
    io.stdout.write(values.json ? text : explanationText(JSON.parse(text) as DecisionDocument))
    return ExitCode.success
  },
}

/** What `/decisions?id=` shows, as far as it is told here (docs/proxy.md). */
interface DecisionDocument {
  readonly id: string
  readonly kind: 'permit' | 'denial'
  readonly at: string
  readonly thread: number
  readonly connection: number
  readonly cause: string
  readonly reason: string
  readonly revision: string
  readonly again?: true
  readonly request: {
    readonly principal: string
    readonly workload: { readonly namespace: string; readonly serviceAccount: string }
    readonly port: number
    readonly method?: string
    readonly path?: string
  }
  readonly facts: { readonly source?: { readonly address: string; readonly port: number } }
  readonly trial?: { readonly verdict: string; readonly cause: string }
  readonly rules: readonly RuleReport[] | null
  readonly rulesAgree: boolean
  readonly decidedBy: RevisionDocument | null
  readonly newest: RevisionDocument | null
}

interface RevisionDocument {
  readonly revision: string
  readonly stateNumber: number | null
  readonly receivedAt: string
  readonly inForceAt: string | null
}

function explanationText(decision: DecisionDocument): string {
  const { id, kind, at, connection, cause, reason, again, request, facts, trial, rules } = decision
  const { principal, workload, port, method, path } = request
  const call = method === undefined ? '' : ` ${method} ${path}`
  const from = facts.source === undefined ? '' : `, from ${facts.source.address}:${facts.source.port}`
  const lines = [
    `Decision ${id} at ${at}${again ? ', about what was under way already' : ''}\n`,
    `${principal} → ${workload.namespace}/${workload.serviceAccount}:${port}${call}\n`,
    `handshake ${connection}${from}\n\n`,
    verdictText({ verdict: kind, cause, reason, rules: rules ?? [] }),
    ...(rules === null
      ? ['\nThe policy of that revision is no longer kept; its rules cannot be shown\n']
      : []),
    ...(rules !== null && !decision.rulesAgree
      ? ['\nThe rules read a credential, which is not kept: they are shown as if it had been absent\n']
      : []),
    ...(trial ? [`\nPolicies on trial would have made it a ${trial.verdict} (${trial.cause})\n`] : []),
    `\n${revisionsText(decision)}`,
  ]
  return lines.join('')
}

function revisionsText({ revision, decidedBy, newest }: DecisionDocument): string {
  const decided =
    decidedBy === null ? `Decided by policy ${revision}\n` : `Decided by policy ${revisionText(decidedBy)}\n`
  if (newest === null || newest.revision === revision) return `${decided}It is the newest\n`
  return `${decided}The newest is ${revisionText(newest)}\n`
}

function revisionText({ revision, stateNumber, receivedAt, inForceAt }: RevisionDocument): string {
  const state = stateNumber === null ? '' : ` of state ${stateNumber}`
  return `${revision}${state}, received at ${receivedAt}, ${inForceAt === null ? 'not in force in every thread yet' : `in force since ${inForceAt}`}`
}
