import assert from 'node:assert/strict'
import test from 'node:test'
import { DEFAULT_PLAN } from '../../src/capture/plan.ts'
import { parseInitOptions } from '../../src/cmd/init/options.ts'
import { runTool } from '../../src/cmd/init/tools.ts'
import { runCli } from './cli.ts'

test('parseInitOptions captures everything by nftables where nothing else is said', () => {
  assert.deepEqual(parseInitOptions([]), {
    action: 'apply',
    dryRun: false,
    backend: 'nftables',
    plan: DEFAULT_PLAN,
  })
})

test('parseInitOptions tells everything from nothing', () => {
  const { plan } = parseInitOptions(['--outbound-include-ports=*', '--inbound-include-cidrs='])
  assert.equal(plan.outbound.includePorts, undefined)
  assert.deepEqual(plan.inbound.includeCidrs, [])
})

const MISUSE: Readonly<Record<string, RegExp>> = {
  '--outbound-exclude-ports=80,http': /^--outbound-exclude-ports: expected a port .*, got "http"$/,
  '--outbound-exclude-ports=0': /^--outbound-exclude-ports: expected a port .*, got "0"$/,
  '--inbound-include-ports=65536': /^--inbound-include-ports: expected a port .*, got "65536"$/,
  '--inbound-include-ports=90-80': /^--inbound-include-ports: expected a port .*, got "90-80"$/,
  '--inbound-exclude-ports=*': /^--inbound-exclude-ports: expected a list, got "\*"/,
  '--outbound-exclude-cidrs=10.0.0.1/8': /^--outbound-exclude-cidrs: expected an IP .*, got "10.0.0.1\/8"$/,
  '--inbound-include-cidrs=example.org': /^--inbound-include-cidrs: expected an IP .*, got "example.org"$/,
  '--proxy-uid=0': /^--proxy-uid: expected one that only the proxy has, got 0/,
  '--proxy-gid=4294967295': /^--proxy-gid: expected a number from 0 to 4294967294/,
  '--inbound-proxy-port=0': /^--inbound-proxy-port: expected a port from 1 to 65535, got 0$/,
  '--inbound-proxy-port=15001': /expected three different ports, got 15001 twice$/,
  '--backend=ebpf': /^--backend: expected nftables or iptables, got "ebpf"$/,
  '--verify --dry-run': /^--verify: expected it alone, got --dry-run beside it$/,
  '--verify --remove': /^--verify: expected it alone, got --remove beside it$/,
  '--outbound-exclude-port=80':
    /^--outbound-exclude-port: no such flag; did you mean --outbound-exclude-ports\?$/,
}

for (const [flags, message] of Object.entries(MISUSE))
  test(`parseInitOptions refuses ${flags}`, () => {
    assert.throws(() => parseInitOptions(flags.split(' ')), { code: 'COMMAND_USAGE', message })
  })

test('handfast init exits with 2 for misuse, and prints rules without any privilege', async (t) => {
  const misuse = await runCli(t, ['init', '--proxy-uid', 'proxy'])
  assert.equal(misuse.code, 2)
  assert.match(misuse.stderr, /COMMAND_USAGE: --proxy-uid: expected a number/)
  const shown = await runCli(t, ['init', '--dry-run'])
  assert.equal(shown.code, 0)
  assert.match(shown.stdout, /^table inet handfast \{$/m)
})

test('runTool names a tool that is missing with its package', async () => {
  await assert.rejects(runTool('handfast-no-such-tool', [], { env: {} }), {
    code: 'CAPTURE_TOOL_MISSING',
    message: /^Cannot run handfast-no-such-tool: expected it to be installed/,
  })
})

test('runTool tells a lack of privilege from other failures', async () => {
  const say = (text: string): Promise<string> =>
    runTool('sh', ['-c', `echo "${text}" >&2; exit 3`], { env: process.env })
  await assert.rejects(say('Error: Operation not permitted'), {
    code: 'CAPTURE_NOT_PERMITTED',
    message: /NET_ADMIN/,
  })
  await assert.rejects(say('syntax error'), {
    code: 'CAPTURE_TOOL_FAILED',
    message: /ended with 3: syntax error$/,
  })
})
