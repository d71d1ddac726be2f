import assert from 'node:assert/strict'
import test from 'node:test'
import {
  NO_IPTABLES,
  readIptablesState,
  renderIptables,
  renderIptablesRemoval,
} from '../../src/capture/iptables.ts'
import { renderNftables } from '../../src/capture/nftables.ts'
import { DEFAULT_PLAN, type CapturePlan } from '../../src/capture/plan.ts'
import { captureRules } from '../../src/capture/rules.ts'
import { parseCidr } from '../../src/config/cidr.ts'
import { parsePortRange } from '../../src/config/ports.ts'

function outbound(scope: Partial<CapturePlan['outbound']>): CapturePlan {
  return { ...DEFAULT_PLAN, outbound: { ...DEFAULT_PLAN.outbound, ...scope } }
}

const ports = (...texts: string[]): ReturnType<typeof ranges> => ranges(texts)
const ranges = (texts: readonly string[]) => texts.map((text) => parsePortRange(text)!)
const cidrs = (...texts: string[]) => texts.map((text) => parseCidr(text)!)

test('captureRules brings ports in order and joins those that overlap or touch', () => {
  const { outbound: rules } = captureRules(
    outbound({ excludePorts: ports('90-100', '80', '81', '95-120', '65535', '7') }),
  )
  const match = rules.find(({ comment }) => comment === 'excluded ports')!.matches[0]
  assert.deepEqual(match, { kind: 'ports', ports: ports('7', '80-81', '90-120', '65535') })
})

test('captureRules leaves out networks that lie within others, and repeats', () => {
  const { outbound: rules } = captureRules(
    outbound({
      excludeCidrs: cidrs('10.1.0.0/16', '10.0.0.0/8', 'fd00::1', '10.0.0.0/8', 'fd00::/8', '192.0.2.1'),
    }),
  )
  const match = rules.find(({ comment }) => comment === 'excluded destinations')!.matches[0]
  assert.deepEqual(match, { kind: 'destination', cidrs: cidrs('10.0.0.0/8', 'fd00::/8', '192.0.2.1') })
})

test('captureRules captures nothing of a direction where nothing is included', () => {
  const { outbound: rules } = captureRules(outbound({ includePorts: [] }))
  assert.ok(rules.every(({ verdict }) => verdict.kind !== 'redirect'))
})

test('renderNftables gives each family its own rule where addresses are matched', () => {
  const text = renderNftables(captureRules(outbound({ excludeCidrs: cidrs('10.0.0.0/8', 'fd00::/8') })))
  assert.match(text, /\bip daddr 10\.0\.0\.0\/8 return/)
  assert.match(text, /\bip6 daddr fd00::\/8 return/)
})

test('renderIptables hooks its chains in only where they are not hooked in yet', () => {
  const rules = captureRules(DEFAULT_PLAN)
  const fresh = renderIptables(rules, 'ipv4', NO_IPTABLES)
  assert.match(fresh, /^-A PREROUTING -p tcp -j HANDFAST_INBOUND$/m)
  assert.match(fresh, /^-A OUTPUT -p tcp -j HANDFAST_OUTBOUND$/m)
  const again = renderIptables(rules, 'ipv4', readIptablesState(fresh))
  assert.doesNotMatch(again, /^-A (?:PREROUTING|OUTPUT)/m)
  const half = renderIptables(rules, 'ipv4', { chains: [], hooks: ['OUTPUT'] })
  assert.match(half, /^-A PREROUTING/m)
  assert.doesNotMatch(half, /^-A OUTPUT/m)
})

test('renderIptablesRemoval takes away what is there and nothing else', () => {
  assert.equal(renderIptablesRemoval(NO_IPTABLES), undefined)
  assert.equal(
    renderIptablesRemoval({ chains: ['HANDFAST_INBOUND'], hooks: ['PREROUTING'] }),
    '*nat\n-D PREROUTING -p tcp -j HANDFAST_INBOUND\n-F HANDFAST_INBOUND\n-X HANDFAST_INBOUND\nCOMMIT\n',
  )
})

test('readIptablesState is not misled by chains and rules of others', () => {
  const state = readIptablesState(
    ':HANDFAST_INBOUND_OLD - [0:0]\n-A PREROUTING -p tcp -j HANDFAST_INBOUND_OLD\n-A FORWARD -p tcp -j HANDFAST_INBOUND\n',
  )
  assert.deepEqual(state, NO_IPTABLES)
})
