import {
  isHooked,
  NO_IPTABLES,
  readIptablesState,
  renderIptables,
  renderIptablesRemoval,
  type IptablesState,
} from '../../capture/iptables.ts'
import { NFTABLES_REMOVAL, NFTABLES_TABLE, renderNftables } from '../../capture/nftables.ts'
import type { CaptureRules } from '../../capture/rules.ts'
import { CaptureError } from '../errors.ts'
import type { Backend } from './options.ts'
import { hasIpv6 } from './pass-through-source.ts'
import { runTool } from './tools.ts'

type Env = Readonly<Record<string, string | undefined>>

/** The kernel's packet filter, by one of its tools. */
export interface PacketFilter {
  /** Puts rules in the place of those of ours that are there. @throws CaptureError */
  apply(rules: CaptureRules): Promise<void>
  /** Takes away everything of ours. @throws CaptureError */
  remove(): Promise<void>
  /** Whether what arrives and what is sent is led through our rules. @throws CaptureError */
  isHooked(): Promise<boolean>
  /** What {@link apply} would give to the tools of a host that has nothing of ours. */
  describe(rules: CaptureRules): string
  /** What {@link remove} would give to the tools of a host that has everything of ours. */
  describeRemoval(): string
}

/** The packet filter by the backend that was chosen. */
export function packetFilter(backend: Backend, env: Env): PacketFilter {
  return backend === 'nftables' ? nftables(env) : iptables(env)
}

function nftables(env: Env): PacketFilter {
  const commit = async (input: string): Promise<void> => {
    // In one piece: what is read from a stream may end after the old table was deleted, where its writer was killed.
    await runTool('nft', [input], { env })
  }
  return {
    apply: (rules) => commit(renderNftables(rules)),
    remove: () => commit(NFTABLES_REMOVAL),
    async isHooked() {
      try {
        const table = await runTool('nft', ['list', 'table', ...NFTABLES_TABLE.split(' ')], { env })
        return ['prerouting', 'output'].every((hook) => table.includes(`type nat hook ${hook} `))
      } catch (error) {
        // It fails for a table that is not there.
        if (error instanceof CaptureError && error.code === 'CAPTURE_TOOL_FAILED') return false
        throw error
      }
    },
    describe: renderNftables,
    describeRemoval: () => NFTABLES_REMOVAL,
  }
}

/** IPv6 first: when it fails, no half of the traffic looks as if all were well. */
const FAMILIES = [
  { family: 'ipv6', tool: 'ip6tables' },
  { family: 'ipv4', tool: 'iptables' },
] as const

function iptables(env: Env): PacketFilter {
  return {
    async apply(rules) {
      for (const { family, tool } of await families())
        await commit(tool, renderIptables(rules, family, await state(tool)))
    },
    async remove() {
      for (const { tool } of await families()) await commit(tool, renderIptablesRemoval(await state(tool)))
    },
    async isHooked() {
      const states = await Promise.all((await families()).map(({ tool }) => state(tool)))
      return states.every(isHooked)
    },
    describe: (rules) =>
      FAMILIES.map(
        ({ family, tool }) => `# ${tool}-restore --noflush\n${renderIptables(rules, family, NO_IPTABLES)}`,
      ).join(''),
    describeRemoval: () =>
      FAMILIES.map(({ family, tool }) => {
        const everything = readIptablesState(
          renderIptables({ inbound: [], outbound: [] }, family, NO_IPTABLES),
        )
        return `# ${tool}-restore --noflush\n${renderIptablesRemoval(everything) ?? ''}`
      }).join(''),
  }

  async function state(tool: string): Promise<IptablesState> {
    return readIptablesState(await runTool(`${tool}-save`, ['-t', 'nat'], { env }))
  }
  async function commit(tool: string, input: string | undefined): Promise<void> {
    if (input !== undefined) await runTool(`${tool}-restore`, ['--noflush', '--wait'], { input, env })
  }
  async function families(): Promise<readonly (typeof FAMILIES)[number][]> {
    return (await hasIpv6()) ? FAMILIES : FAMILIES.filter(({ family }) => family === 'ipv4')
  }
}
