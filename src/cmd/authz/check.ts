import type { AuthorizationRequest, HttpRequestHead, RequestToken, Workload } from '../../authz/request.ts'
import { isWorkloadId, trustDomainOf } from '../../config/spiffe.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseCount, parseFlags, quoted, required } from '../flags.ts'
import { POLICY_OPTIONS, POLICY_OPTIONS_HELP, readPolicies } from './policies.ts'
import { type ShownVerdict, verdictText } from './verdict-text.ts'

const OPTIONS = {
  ...POLICY_OPTIONS,
  from: { type: 'string' },
  to: { type: 'string' },
  port: { type: 'string' },
  method: { type: 'string' },
  path: { type: 'string' },
  host: { type: 'string' },
  header: { type: 'string', multiple: true },
  'request-principal': { type: 'string' },
  claim: { type: 'string', multiple: true },
  source: { type: 'string' },
  sni: { type: 'string' },
  alpn: { type: 'string' },
  group: { type: 'string' },
  'trust-domain': { type: 'string' },
  json: { type: 'boolean', default: false },
} as const

type Flags = ReturnType<typeof parseFlags<typeof OPTIONS>>['values']

/** `handfast authz check` */
export const authzCheck: Command = {
  summary: 'Ask policy files about one call, before any proxy has them',
  usage: `Usage: handfast authz check --from ID --to NAMESPACE/SERVICE-ACCOUNT --port N -f PATH [FLAGS]

Decides one call by policy files, with the evaluator that proxies decide with, and shows every rule that was asked: what each
field wanted, what came, and what would have matched. The exit code is 0 for a permit and 1 for a denial.

${POLICY_OPTIONS_HELP}  --from ID                the SPIFFE ID of who calls
  --to NAMESPACE/NAME      the namespace and service account of who is called
  --port N                 the port of the inbound listener
  --method, --path, --host the head of an HTTP request. With none of these, no --header and no --claim it is a connection that
                           carries bytes; otherwise the method is GET and the path / unless they are given
  --header 'NAME: VALUE'   a header of the request; may be repeated
  --request-principal P    ISSUER/SUBJECT of a token that was verified
  --claim NAME=VALUE       a claim of that token, as JSON or as text; may be repeated
  --source IP              the address that the call comes from
  --sni, --alpn, --group   what the handshake settled
  --trust-domain NAME      the mesh's own (default: that of --from)
  --json                   print the decision as JSON
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, { options: OPTIONS })
    const request = requestOf(values)
    const policies = await readPolicies(
      values.file,
      values['trust-domain'] ?? trustDomainOf(request.principal),
    )
    const decision = policies.decide(request)
    const { kind, cause, reason, policy, rule, audited, dryRun, revision } = decision
    const shown: ShownVerdict = { verdict: kind, cause, reason, rules: decision.rules() }
    if (values.json) {
      const { rules, ...verdict } = shown
      const json = { ...verdict, policy, rule, revision, dryRun, audited, request, rules }
      io.stdout.write(`${JSON.stringify(json, undefined, 2)}\n`)
    } else {
      io.stdout.write(verdictText(shown))
      if (dryRun !== undefined)
        io.stdout.write(
          `\nPolicies on trial would make it a ${dryRun.kind} (${dryRun.cause}${ruleText(dryRun)})\n`,
        )
    }
    return kind === 'permit' ? ExitCode.success : ExitCode.failure
  },
}

function ruleText({ policy, rule }: { readonly policy?: string; readonly rule?: number }): string {
  return policy === undefined ? '' : `, ${policy} rule ${rule}`
}

/** @throws UsageError */
function requestOf(flags: Flags): AuthorizationRequest {
  const principal = required('--from', flags.from, 'a SPIFFE ID')
  if (!isWorkloadId(principal))
    throw new UsageError(
      `--from: expected a SPIFFE ID such as spiffe://example.org/ns/shop/sa/web, got ${quoted(principal)}`,
    )
  const { sni, alpn, group, source } = flags
  const http = headOf(flags)
  const token = tokenOf(flags)
  return {
    principal,
    workload: workloadOf(required('--to', flags.to, 'NAMESPACE/SERVICE-ACCOUNT')),
    port: parseCount('--port', required('--port', flags.port, 'a port'), 65_535),
    ...(source !== undefined && { sourceIp: source }),
    tls: {
      ...(sni !== undefined && { sni }),
      ...(alpn !== undefined && { alpn }),
      ...(group !== undefined && { group }),
    },
    ...(http && { http }),
    ...(token && { token }),
  }
}

function workloadOf(text: string): Workload {
  const [namespace, serviceAccount, more] = text.split('/')
  if (namespace && serviceAccount && more === undefined) return { namespace, serviceAccount }
  throw new UsageError(`--to: expected NAMESPACE/SERVICE-ACCOUNT such as shop/catalog, got ${quoted(text)}`)
}

function headOf(flags: Flags): HttpRequestHead | undefined {
  const { method, path, host, header = [] } = flags
  const isHttp = [method, path, host, flags['request-principal'], ...header, ...(flags.claim ?? [])].some(
    (given) => given !== undefined,
  )
  if (!isHttp) return undefined
  const headers: Record<string, string[]> = {}
  for (const line of header) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined)
      throw new UsageError(`--header: expected NAME: VALUE, got ${quoted(line)}`)
    ;(headers[name.toLowerCase()] ??= []).push(value)
  }
  return { method: method ?? 'GET', path: path ?? '/', ...(host !== undefined && { host }), headers }
}

function tokenOf({ claim = [], 'request-principal': given }: Flags): RequestToken | undefined {
  if (given === undefined && claim.length === 0) return undefined
  const claims = Object.fromEntries(
    claim.map((text) => {
      const end = text.indexOf('=')
      if (end < 1) throw new UsageError(`--claim: expected NAME=VALUE, got ${quoted(text)}`)
      return [text.slice(0, end), jsonOr(text.slice(end + 1))]
    }),
  )
  const text = (name: string): string => (typeof claims[name] === 'string' ? claims[name] : '')
  return { principal: given ?? `${text('iss')}/${text('sub')}`, claims }
}

/** Lists, numbers and truths are written as JSON; what is no JSON is text. */
function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
