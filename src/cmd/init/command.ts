import { captureRules } from '../../capture/rules.ts'
import { chooseTransport } from '../../net/choose-transport.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { CaptureError } from '../errors.ts'
import { parseInitOptions, type InitOptions } from './options.ts'
import { packetFilter } from './packet-filter.ts'
import {
  addPassThroughSource,
  describePassThroughSource,
  removePassThroughSource,
} from './pass-through-source.ts'
import { verifyCapture } from './verify.ts'

/** `handfast init` */
export const init: Command = {
  summary: "Lead a workload's traffic through its sidecar, by the kernel's packet filter",
  usage: `Usage: handfast init [--remove | --verify] [--dry-run] [FLAGS]

Captures the TCP connections of this network namespace, in both address families: those that the workload opens go to the
proxy's outbound listener, those that arrive go to its inbound listener (docs/capture.md). To do so twice changes nothing.
Needs the capability NET_ADMIN, and nft or iptables.

  --verify                       prove by connections that the rules in force do what the other flags say; before the proxy
                                 starts, as root with the capabilities SETUID and SETGID
  --dry-run                      print what would be given to the tools, change nothing
  --remove                       take away everything that this command has put there
  --backend NAME                 nftables or iptables (nftables)

  --outbound-include-ports LIST  capture only what goes to these ports (*)
  --outbound-exclude-ports LIST  but not to these
  --outbound-include-cidrs LIST  capture only what goes to these addresses (*)
  --outbound-exclude-cidrs LIST  but not to these
  --inbound-include-ports LIST   capture only what comes to these ports (*)
  --inbound-exclude-ports LIST   but not to these
  --inbound-include-cidrs LIST   capture only what comes from these addresses (*)
  --inbound-exclude-cidrs LIST   but not from these

  --outbound-proxy-port PORT     the proxy's outbound listener (15001)
  --inbound-proxy-port PORT      the proxy's inbound listener (15006)
  --admin-port PORT              the proxy's admin pages, never captured (15000)
  --proxy-uid UID                the user that the proxy runs as, whose traffic is not captured (1337)
  --proxy-gid GID                its group (1337)

Lists have commas; ports may be ranges such as 8000-8100; "*" is everything, "" nothing.
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const options = parseInitOptions(args)
    if (options.dryRun) io.stdout.write(describe(options))
    else if (options.action === 'verify') await verify(options, io)
    else await change(options, io)
    return ExitCode.success
  },
}

function describe({ action, backend, plan }: InitOptions): string {
  const filter = packetFilter(backend, {})
  return action === 'remove'
    ? `# ${describePassThroughSource('del')}\n${filter.describeRemoval()}`
    : `# ${describePassThroughSource('replace')}\n${filter.describe(captureRules(plan))}`
}

async function change({ action, backend, plan }: InitOptions, { env, stderr }: CommandIo): Promise<void> {
  const filter = packetFilter(backend, env)
  if (action === 'remove') {
    await filter.remove()
    await removePassThroughSource(env)
    stderr.write(`Traffic is no longer captured (${backend})\n`)
    return
  }
  // First, so that nothing is captured that the proxy cannot pass on.
  await addPassThroughSource(env)
  await filter.apply(captureRules(plan))
  stderr.write(
    `Traffic is captured (${backend}): outbound to ${plan.outboundPort}, inbound to ${plan.inboundPort}\n`,
  )
}

/** @throws CaptureError CAPTURE_NOT_WORKING and others */
async function verify({ backend, plan }: InitOptions, { env, stdout }: CommandIo): Promise<void> {
  const transport = chooseTransport('auto', { onFallback() {} })
  const findings = await verifyCapture(plan, { transport, filter: packetFilter(backend, env) }).finally(() =>
    transport[Symbol.dispose]?.(),
  )
  for (const { verdict, claim, detail } of findings)
    stdout.write(`${verdict.padEnd(8)}${claim} (${detail})\n`)
  const failed = findings.filter(({ verdict }) => verdict === 'failed').length
  if (failed > 0)
    throw new CaptureError(
      'CAPTURE_NOT_WORKING',
      `${failed} of ${findings.length} checks failed: expected all to hold`,
    )
}
