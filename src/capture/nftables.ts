import { formatCidr, type Cidr } from '../config/cidr.ts'
import { formatPortRange } from '../config/ports.ts'
import type { CaptureRules, Match, Rule, Verdict } from './rules.ts'

/** The table that is ours alone, for both families. */
export const NFTABLES_TABLE = 'inet handfast'

/** Takes the table away, whether there is one or not, in one transaction (`nft -f`). */
export const NFTABLES_REMOVAL: string = `table ${NFTABLES_TABLE}\ndelete table ${NFTABLES_TABLE}\n`

/**
 * The rules as input of `nft -f`: one transaction that puts them in the place of whatever the table had before. The kernel takes all of
 * it or nothing.
 */
export function renderNftables({ inbound, outbound }: CaptureRules): string {
  return `${NFTABLES_REMOVAL}table ${NFTABLES_TABLE} {
	chain inbound {
${lines(inbound)}
	}

	chain outbound {
${lines(outbound)}
	}

	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		meta l4proto tcp jump inbound
	}

	chain output {
		type nat hook output priority -100; policy accept;
		meta l4proto tcp jump outbound
	}
}
`
}

function lines(rules: readonly Rule[]): string {
  return rules.flatMap(ruleLines).join('\n')
}

/** One for each family that a rule's CIDRs are of; one for both where it has none. */
function ruleLines({ matches, verdict, comment }: Rule): readonly string[] {
  const families = matches.flatMap((match) =>
    'cidrs' in match ? match.cidrs.map(({ family }) => family) : [],
  )
  const all: readonly (Cidr['family'] | undefined)[] =
    families.length === 0 ? [undefined] : [...new Set(families)]
  return all.map((family) => {
    const words = [...matches.map((match) => matchText(match, family)), verdictText(verdict)]
    return `\t\t${words.join(' ')} comment "${comment}"`
  })
}

function matchText(match: Match, family: Cidr['family'] | undefined): string {
  switch (match.kind) {
    case 'ports':
      return `tcp dport ${set(match.ports.map(formatPortRange))}`
    case 'source':
    case 'destination': {
      const cidrs = match.cidrs.filter((cidr) => cidr.family === family)
      const field = match.kind === 'source' ? 'saddr' : 'daddr'
      return `${family === 'ipv4' ? 'ip' : 'ip6'} ${field} ${set(cidrs.map(formatCidr))}`
    }
    case 'uid':
      return `meta skuid ${match.id}`
    case 'gid':
      return `meta skgid ${match.id}`
    case 'to-loopback':
      return 'oifname "lo"'
  }
}

function set(items: readonly string[]): string {
  return items.length === 1 ? items[0]! : `{ ${items.join(', ')} }`
}

function verdictText(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'leave':
      return 'return'
    case 'redirect':
      // nft asks for the protocol in the rule that names a port.
      return `meta l4proto tcp redirect to :${verdict.port}`
    case 'as-inbound':
      return 'jump inbound'
  }
}
