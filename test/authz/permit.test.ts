import assert from 'node:assert/strict'
import test from 'node:test'
import { isPermit, Permit } from '../../src/authz/decide.ts'
import { fieldsOf, policy, policySet } from './support.ts'

const workload = { namespace: 'shop', serviceAccount: 'catalog' }
const request = { principal: 'spiffe://td/ns/shop/sa/web', workload, port: 80 }

test('Permit comes from a decision, and cannot be made or altered otherwise', () => {
  const permit = policySet(policy('all', '{ action: ALLOW, rules: [{}] }')).decide(request)
  assert.ok(isPermit(permit))

  const Forged = Permit as unknown as new (mint: unknown, facts: unknown) => Permit
  assert.throws(() => new Forged(Symbol('permit'), permit), TypeError)
  assert.throws(() => new Forged(undefined, permit), TypeError)
  assert.throws(() => Object.assign(permit, { reason: 'because' }), TypeError)
})

test('isPermit refuses what merely looks like a permit', () => {
  const permit = policySet(policy('all', '{ action: ALLOW, rules: [{}] }')).decide(request)
  const lookalikes = [
    fieldsOf(permit),
    structuredClone(fieldsOf(permit)),
    Object.create(Permit.prototype),
    Object.setPrototypeOf(fieldsOf(permit), Permit.prototype),
    new Proxy(permit, {}),
    policySet().decide(request),
    'permit',
    null,
    undefined,
  ]
  for (const lookalike of lookalikes) assert.ok(!isPermit(lookalike))
})
