import assert from 'node:assert/strict'
import test from 'node:test'
import { DEFAULT_PLAN, type CapturePlan } from '../../src/capture/plan.ts'
import { inboundProbe, outboundProbe } from '../../src/capture/probes.ts'
import { parseInitOptions } from '../../src/cmd/init/options.ts'

function plan(...flags: readonly string[]): CapturePlan {
  return parseInitOptions(flags).plan
}

test('outboundProbe asks for an address that nobody has, at a port that everyone uses', () => {
  assert.deepEqual(outboundProbe(DEFAULT_PLAN, 'ipv4'), { host: '192.0.2.6', port: 80 })
  assert.deepEqual(outboundProbe(DEFAULT_PLAN, 'ipv6'), { host: '2001:db8::6', port: 80 })
})

test('outboundProbe finds what the options leave over', () => {
  const left: Readonly<Record<string, string | undefined>> = {
    '--outbound-exclude-ports=80': '192.0.2.6:1',
    '--outbound-exclude-ports=1-442': '192.0.2.6:443',
    '--outbound-exclude-ports=1-52,54-65534': '192.0.2.6:65535',
    '--outbound-exclude-ports=1-52,54-65535': undefined,
    '--outbound-include-ports=53,8080': '192.0.2.6:8080',
    '--outbound-include-ports=': undefined,
    '--outbound-include-cidrs=10.96.0.0/12': '10.96.0.1:80',
    '--outbound-include-cidrs=fd00::/8': undefined,
    '--outbound-include-cidrs=10.0.0.0/8,10.96.0.0/12 --outbound-exclude-cidrs=10.0.0.0/16': '10.96.0.1:80',
    '--outbound-exclude-cidrs=0.0.0.0/0': undefined,
  }
  for (const [flags, expected] of Object.entries(left)) {
    const found = outboundProbe(plan(...flags.split(' ')), 'ipv4')
    assert.equal(found && `${found.host}:${found.port}`, expected, flags)
  }
})

test('inboundProbe asks for an own address, and never for a port of the proxy', () => {
  assert.deepEqual(inboundProbe(DEFAULT_PLAN, ['10.0.0.7']), { host: '10.0.0.7', port: 80 })
  assert.deepEqual(inboundProbe(plan('--inbound-include-ports=14999-15001'), ['10.0.0.7']), {
    host: '10.0.0.7',
    port: 14_999,
  })
  assert.equal(
    inboundProbe(plan('--inbound-include-ports=15000-15001,15006,15020-15021'), ['10.0.0.7']),
    undefined,
  )
  assert.equal(inboundProbe(plan('--inbound-exclude-cidrs=10.0.0.0/8'), ['10.0.0.7']), undefined)
  assert.equal(inboundProbe(DEFAULT_PLAN, []), undefined)
})
