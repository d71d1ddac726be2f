import { DEFAULT_PLAN, type CapturePlan, type CaptureScope } from '../../capture/plan.ts'
import { parseCidr, type Cidr } from '../../config/cidr.ts'
import { MAX_PORT, parsePortRange, type PortRange } from '../../config/ports.ts'
import { UsageError } from '../errors.ts'
import { parseCount, parseFlags, parseList, quoted } from '../flags.ts'

/** Which of the kernel's two tools writes the rules. */
export type Backend = 'nftables' | 'iptables'

/** What `handfast init` is to do. */
export interface InitOptions {
  readonly action: 'apply' | 'remove' | 'verify'
  /** Prints what would be given to the tools, and gives them nothing. */
  readonly dryRun: boolean
  readonly backend: Backend
  readonly plan: CapturePlan
}

/** User and group numbers are 32 bits, and the last one means nobody (chown(2)). */
const MAX_ID = 0xffff_fffe

const FLAGS = {
  remove: { type: 'boolean' },
  verify: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  backend: { type: 'string' },
  'proxy-uid': { type: 'string' },
  'proxy-gid': { type: 'string' },
  'outbound-proxy-port': { type: 'string' },
  'inbound-proxy-port': { type: 'string' },
  'admin-port': { type: 'string' },
  'outbound-include-ports': { type: 'string' },
  'outbound-exclude-ports': { type: 'string' },
  'outbound-include-cidrs': { type: 'string' },
  'outbound-exclude-cidrs': { type: 'string' },
  'inbound-include-ports': { type: 'string' },
  'inbound-exclude-ports': { type: 'string' },
  'inbound-include-cidrs': { type: 'string' },
  'inbound-exclude-cidrs': { type: 'string' },
} as const

type Values = ReturnType<typeof parseFlags<typeof FLAGS>>['values']

/** @throws UsageError */
export function parseInitOptions(args: readonly string[]): InitOptions {
  const { values } = parseFlags(args, { options: FLAGS })
  const { remove = false, verify = false, 'dry-run': dryRun = false } = values
  if (verify && (remove || dryRun))
    throw new UsageError(`--verify: expected it alone, got --${remove ? 'remove' : 'dry-run'} beside it`)
  return {
    action: remove ? 'remove' : verify ? 'verify' : 'apply',
    dryRun,
    backend: backendOf(values.backend),
    plan: planOf(values),
  }
}

function backendOf(text: string = 'nftables'): Backend {
  if (text === 'nftables' || text === 'iptables') return text
  throw new UsageError(`--backend: expected nftables or iptables, got ${quoted(text)}`)
}

function planOf(values: Values): CapturePlan {
  const plan: CapturePlan = {
    proxyUid: idOf('proxy-uid', values, DEFAULT_PLAN.proxyUid),
    proxyGid: idOf('proxy-gid', values, DEFAULT_PLAN.proxyGid),
    outboundPort: portOf('outbound-proxy-port', values, DEFAULT_PLAN.outboundPort),
    inboundPort: portOf('inbound-proxy-port', values, DEFAULT_PLAN.inboundPort),
    adminPort: portOf('admin-port', values, DEFAULT_PLAN.adminPort),
    outbound: scopeOf('outbound', values),
    inbound: scopeOf('inbound', values),
  }
  const ports = [plan.outboundPort, plan.inboundPort, plan.adminPort]
  const twice = ports.find((port, index) => ports.indexOf(port) !== index)
  if (twice !== undefined)
    throw new UsageError(
      `--outbound-proxy-port, --inbound-proxy-port, --admin-port: expected three different ports, got ${twice} twice`,
    )
  return plan
}

function scopeOf(direction: 'outbound' | 'inbound', values: Values): CaptureScope {
  const includePorts = portsOf(`${direction}-include-ports`, values)
  const includeCidrs = cidrsOf(`${direction}-include-cidrs`, values)
  return {
    ...(includePorts !== 'all' && { includePorts }),
    excludePorts: listed(`${direction}-exclude-ports`, portsOf(`${direction}-exclude-ports`, values, '')),
    ...(includeCidrs !== 'all' && { includeCidrs }),
    excludeCidrs: listed(`${direction}-exclude-cidrs`, cidrsOf(`${direction}-exclude-cidrs`, values, '')),
  }
}

/** To exclude everything is to capture nothing, which an empty include list says without doubt. */
function listed<Item>(flag: string, items: readonly Item[] | 'all'): readonly Item[] {
  if (items !== 'all') return items
  throw new UsageError(
    `--${flag}: expected a list, got "*"; to capture nothing, leave the include list empty`,
  )
}

type PortFlag = `${'outbound' | 'inbound'}-${'include' | 'exclude'}-ports`
type CidrFlag = `${'outbound' | 'inbound'}-${'include' | 'exclude'}-cidrs`

function portsOf(flag: PortFlag, values: Values, fallback = '*'): readonly PortRange[] | 'all' {
  return items(
    flag,
    values[flag] ?? fallback,
    'a port from 1 to 65535 or a range such as 8000-8100',
    parsePortRange,
  )
}

function cidrsOf(flag: CidrFlag, values: Values, fallback = '*'): readonly Cidr[] | 'all' {
  return items(
    flag,
    values[flag] ?? fallback,
    'an IP address or a CIDR without host bits such as 10.0.0.0/8 or fd00::/8',
    parseCidr,
  )
}

/** A list with commas, none for the empty text, all for a star. */
function items<Item>(
  flag: string,
  text: string,
  expected: string,
  parse: (text: string) => Item | undefined,
): readonly Item[] | 'all' {
  if (text.trim() === '*') return 'all'
  if (text.trim() === '') return []
  return parseList(`--${flag}`, text).map((item) => {
    const parsed = parse(item)
    if (parsed === undefined) throw new UsageError(`--${flag}: expected ${expected}, got ${quoted(item)}`)
    return parsed
  })
}

function idOf(flag: 'proxy-uid' | 'proxy-gid', values: Values, fallback: number): number {
  const text = values[flag]
  if (text === undefined) return fallback
  const id = parseCount(`--${flag}`, text, MAX_ID)
  // Everything that root runs would go past the proxy, and most containers run as root.
  if (id === 0)
    throw new UsageError(`--${flag}: expected one that only the proxy has, got 0, which is root's`)
  return id
}

function portOf(
  flag: 'outbound-proxy-port' | 'inbound-proxy-port' | 'admin-port',
  values: Values,
  fallback: number,
): number {
  const text = values[flag]
  if (text === undefined) return fallback
  const port = parseCount(`--${flag}`, text, MAX_PORT)
  if (port === 0) throw new UsageError(`--${flag}: expected a port from 1 to 65535, got 0`)
  return port
}
