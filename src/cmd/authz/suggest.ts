import type { FlightDecision } from '../../authz/flight/flight-line.ts'
import { suggestPolicies } from '../../authz/flight/suggest.ts'
import { yamlDocuments } from '../../config/yaml-text.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags } from '../flags.ts'
import { FLIGHT_OPTIONS, FLIGHT_OPTIONS_HELP, flightLines } from './flight-source.ts'

/** `handfast authz suggest` */
export const authzSuggest: Command = {
  summary: 'Write the least policy that permits what was recorded',
  usage: `Usage: handfast authz suggest (--log FILE | --admin HOST:PORT) [--no-templates]

Prints ALLOW policies, one for each workload in the log, that permit the calls that were permitted: by principal, port, method and
path. Identifiers in paths become templates such as /orders/{id} where at least three were seen in one place and no call that was
denied would pass by it. Read it before it is put to use: it knows only what happened while the log was written.

${FLIGHT_OPTIONS_HELP}  --no-templates           write every path as it came
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: { ...FLIGHT_OPTIONS, 'no-templates': { type: 'boolean', default: false } },
    })
    const decisions: FlightDecision[] = []
    for await (const line of flightLines(values, io)) if (line.kind === 'decision') decisions.push(line)
    const suggestions = suggestPolicies(decisions, { templates: !values['no-templates'] })
    io.stdout.write(yamlDocuments(suggestions.map(({ policy }) => policy)))
    for (const { workload, notes } of suggestions)
      for (const note of notes) io.stderr.write(`${workload.namespace}/${workload.serviceAccount}: ${note}\n`)
    return ExitCode.success
  },
}
