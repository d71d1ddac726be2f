import { formatCidr, type Cidr } from '../config/cidr.ts'
import type { CaptureRules, Match, Rule, Verdict } from './rules.ts'

/** Our own chains, and the chain of the kernel's that leads into each. */
const CHAINS = { inbound: 'HANDFAST_INBOUND', outbound: 'HANDFAST_OUTBOUND' } as const
const HOOKS = [
  { chain: CHAINS.inbound, from: 'PREROUTING' },
  { chain: CHAINS.outbound, from: 'OUTPUT' },
] as const

/** What of ours a `nat` table has already. */
export interface IptablesState {
  /** Names of our chains. */
  readonly chains: readonly string[]
  /** Names of the kernel's chains that lead into ours. */
  readonly hooks: readonly string[]
}

/** A `nat` table that knows nothing of us. */
export const NO_IPTABLES: IptablesState = { chains: [], hooks: [] }

/** Reads what `iptables-save -t nat` or `ip6tables-save -t nat` prints. */
export function readIptablesState(saved: string): IptablesState {
  const lines = saved.split('\n')
  return {
    chains: Object.values(CHAINS).filter((chain) => lines.some((line) => line.startsWith(`:${chain} `))),
    hooks: HOOKS.filter((hook) => lines.includes(hookRule(hook))).map(({ from }) => from),
  }
}

/** Whether both of the kernel's chains lead into ours. */
export function isHooked({ hooks }: IptablesState): boolean {
  return hooks.length === HOOKS.length
}

/**
 * The rules of one family as input of `iptables-restore --noflush` or `ip6tables-restore --noflush`: one transaction that fills our
 * chains anew and leaves all others alone.
 *
 * @param found what is there already, so that nothing is there twice
 */
export function renderIptables(rules: CaptureRules, family: Cidr['family'], found: IptablesState): string {
  return table([
    // Makes the chain, or empties it.
    ...Object.values(CHAINS).map((chain) => `:${chain} - [0:0]`),
    ...rules.inbound.flatMap((rule) => ruleLines(CHAINS.inbound, rule, family)),
    ...rules.outbound.flatMap((rule) => ruleLines(CHAINS.outbound, rule, family)),
    ...HOOKS.filter(({ from }) => !found.hooks.includes(from)).map(hookRule),
  ])
}

/** Takes everything of ours out of one family, in one transaction; undefined where there is nothing. */
export function renderIptablesRemoval({ chains, hooks }: IptablesState): string | undefined {
  if (chains.length + hooks.length === 0) return undefined
  return table([
    ...HOOKS.filter(({ from }) => hooks.includes(from)).map((hook) => hookRule(hook).replace(/^-A/, '-D')),
    ...chains.map((chain) => `-F ${chain}`),
    ...chains.map((chain) => `-X ${chain}`),
  ])
}

/** The way `iptables-save` spells it, too. */
function hookRule({ chain, from }: (typeof HOOKS)[number]): string {
  return `-A ${from} -p tcp -j ${chain}`
}

function table(lines: readonly string[]): string {
  return ['*nat', ...lines, 'COMMIT', ''].join('\n')
}

/** iptables knows one value for each match: every combination is a line. */
function ruleLines(
  chain: string,
  { matches, verdict, comment }: Rule,
  family: Cidr['family'],
): readonly string[] {
  let lines: readonly string[] = [`-A ${chain} -p tcp`]
  for (const match of matches) {
    const texts = matchTexts(match, family)
    lines = lines.flatMap((line) => texts.map((text) => `${line} ${text}`))
  }
  return lines.map((line) => `${line} -m comment --comment "${comment}" ${verdictText(verdict)}`)
}

function matchTexts(match: Match, family: Cidr['family']): readonly string[] {
  switch (match.kind) {
    case 'ports':
      return match.ports.map(({ first, last }) => `--dport ${first === last ? first : `${first}:${last}`}`)
    case 'source':
    case 'destination':
      return match.cidrs
        .filter((cidr) => cidr.family === family)
        .map((cidr) => `${match.kind === 'source' ? '-s' : '-d'} ${formatCidr(cidr)}`)
    case 'uid':
      return [`-m owner --uid-owner ${match.id}`]
    case 'gid':
      return [`-m owner --gid-owner ${match.id}`]
    case 'to-loopback':
      return ['-o lo']
  }
}

function verdictText(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'leave':
      return '-j RETURN'
    case 'redirect':
      return `-j REDIRECT --to-ports ${verdict.port}`
    case 'as-inbound':
      return `-j ${CHAINS.inbound}`
  }
}
