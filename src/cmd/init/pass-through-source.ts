import { readFile } from 'node:fs/promises'
import { PASS_THROUGH_SOURCE } from '../../capture/plan.ts'
import { runTool } from './tools.ts'

/** The addresses of this host: for each its 32 hexadecimal digits, and what it belongs to (proc(5)). */
const ADDRESSES = '/proc/net/if_inet6'

/** ::6 as it is written there. */
const OURS = '0'.repeat(31) + '6'

type Env = Readonly<Record<string, string | undefined>>

/** Whether there is IPv6 in this network namespace. */
export async function hasIpv6(): Promise<boolean> {
  return (await addresses()) !== undefined
}

/** What makes ::6 an address of this host; 127.0.0.6 is one everywhere. Nothing where it is one, or where there is no IPv6. */
export async function addPassThroughSource(env: Env): Promise<void> {
  const found = await addresses()
  if (found === undefined || found.includes(OURS)) return
  await runTool('ip', command('replace').slice(1), { env })
}

/** Undoes {@link addPassThroughSource}. */
export async function removePassThroughSource(env: Env): Promise<void> {
  if ((await addresses())?.includes(OURS) === true) await runTool('ip', command('del').slice(1), { env })
}

/** For people to read: what is done beside the rules. */
export function describePassThroughSource(action: 'replace' | 'del'): string {
  return command(action).join(' ')
}

function command(action: 'replace' | 'del'): readonly string[] {
  // Nobody else can have it, so there is nothing to detect; and nothing but the proxy is to choose it (RFC 6724 §5, rule 3).
  const flags = action === 'replace' ? ['preferred_lft', '0', 'nodad'] : []
  return ['ip', '-6', 'address', action, `${PASS_THROUGH_SOURCE.ipv6}/128`, 'dev', 'lo', ...flags]
}

/** Undefined where there is no IPv6. */
async function addresses(): Promise<readonly string[] | undefined> {
  try {
    const lines = (await readFile(ADDRESSES, 'utf8')).split('\n').filter((line) => line !== '')
    return lines.map((line) => line.slice(0, 32))
  } catch {
    return undefined
  }
}
