import { compilePolicies } from '../../authz/compile.ts'
import type { ListenerFacts } from '../../authz/listener-rule.ts'
import { type ReviewedPolicies, reviewPolicies } from '../../authz/parse.ts'
import { allResources } from '../../authz/resources.ts'
import { ConfigError, formatProblem, type Problem } from '../../config/errors.ts'
import { parseYaml } from '../../config/parse.ts'
import { proxyConfigSchema } from '../../config/proxy-config.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { checkKeySets, readPolicyFiles } from '../controller/policy-files.ts'
import { readOperatorFile } from '../files.ts'
import { parseFlags } from '../flags.ts'

/** `handfast authz validate` */
export const authzValidate: Command = {
  summary: 'Check policy before it is put to use: errors and warnings with file and line',
  usage: `Usage: handfast authz validate FILE|DIR [--proxy FILE] [--json]

Reads policy as a controller would: one file, or every *.yaml and *.yml file right in a directory (docs/policy.md). Errors are what
a controller refuses; warnings are what it takes and what is more likely a mistake: rules that can never match or that others leave
nothing to, rules that allow everyone everything, modes that are not to be had.

  --proxy FILE   a proxy.yaml: warn of ALLOW rules that can match on none of its inbound listeners
  --json         {"revision", "resources", "errors", "warnings"} on standard output

Exits with 0 when there is no error, whatever the warnings, else with 2.
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values, positionals } = parseFlags(args, {
      options: { proxy: { type: 'string' }, json: { type: 'boolean', default: false } },
      positionals: ['FILE|DIR'],
    })
    try {
      const listeners = values.proxy === undefined ? [] : await inboundListeners(values.proxy)
      const reviewed = reviewPolicies(await readPolicyFiles(positionals[0]!), listeners)
      checkKeySets(reviewed.resources, nativeCrypto())
      io.stdout.write(values.json ? json(reviewed, []) : text(reviewed))
      return ExitCode.success
    } catch (error) {
      if (!values.json || !(error instanceof ConfigError)) throw error
      io.stdout.write(json(undefined, error.problems))
      return ExitCode.misuse
    }
  },
}

async function inboundListeners(file: string): Promise<ListenerFacts[]> {
  const source = await readOperatorFile({ path: file, field: '--proxy' })
  const { inbound } = parseYaml(source, { file, schema: proxyConfigSchema })
  return inbound.map(({ listen, protocol }) => ({ port: listen.port, transport: protocol }))
}

function text(reviewed: ReviewedPolicies): string {
  const { warnings } = reviewed
  const lines = warnings.map((warning) => `warning: ${formatProblem(warning)}\n`)
  const count = warnings.length === 1 ? '1 warning' : `${warnings.length} warnings`
  return `${lines.join('')}${allResources(reviewed.resources).length} resources, revision ${revisionOf(reviewed)}, ${count}\n`
}

function json(reviewed: ReviewedPolicies | undefined, errors: readonly Problem[]): string {
  const report = {
    ...(reviewed && { revision: revisionOf(reviewed), resources: allResources(reviewed.resources).length }),
    errors,
    warnings: reviewed?.warnings ?? [],
  }
  return `${JSON.stringify(report, undefined, 2)}\n`
}

/** The trust domain has no part in it. */
function revisionOf({ resources }: ReviewedPolicies): string {
  return compilePolicies(resources, { crypto: nativeCrypto(), trustDomain: '', newId: () => '' }).revision
}
