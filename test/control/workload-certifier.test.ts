import assert from 'node:assert/strict'
import test from 'node:test'
import { ControlError } from '../../src/control/errors.ts'
import { systemTimers } from '../../src/control/timers.ts'
import { workloadCertifier } from '../../src/control/workload-certifier.ts'
import type { X509Svid } from '../../src/identity/svid.ts'
import { anyCsr, clientOf, type ControlPlane, startControlPlane } from '../support/control-plane.ts'
import { memoryCa, WEB } from '../support/memory-ca.ts'

function certifier(
  plane: ControlPlane,
  svid: X509Svid | undefined,
  token: string | undefined,
  nowMs = Date.now(),
) {
  return workloadCertifier({
    client: clientOf(plane, { credential: () => svid }),
    current: () => svid,
    token: () => Promise.resolve(token === undefined ? undefined : { joinToken: token }),
    timers: { ...systemTimers, nowMs: () => nowMs },
  })
}

function lastProof({ ca }: ControlPlane): string {
  const entry = ca.journal.entries.at(-1)
  assert.ok(entry?.kind === 'issued')
  return entry.proof
}

test('workloadCertifier proves itself by token first, and by certificate once it has one', async (t) => {
  const plane = await startControlPlane(t)
  const token = await plane.ca.token()
  await certifier(plane, undefined, token)(anyCsr())
  assert.match(lastProof(plane), /^join-token:/)
  const svid = await plane.svid(WEB)
  await certifier(plane, svid, token)(anyCsr())
  assert.equal(lastProof(plane), 'peer-svid')
  await certifier(plane, svid, undefined)(anyCsr())
  assert.equal(lastProof(plane), 'peer-svid', 'the token may be gone')
})

test('workloadCertifier goes back to its token when its certificate has expired', async (t) => {
  const plane = await startControlPlane(t)
  const svid = await plane.svid(WEB)
  await certifier(plane, svid, await plane.ca.token(), svid.expiresAtMs)(anyCsr())
  assert.match(lastProof(plane), /^join-token:/)
})

test('workloadCertifier goes back to its token when the controller refuses its certificate in the handshake', async (t) => {
  const plane = await startControlPlane(t)
  const stranger = await startControlPlane(t, { ca: await memoryCa(Date.now()) })
  const foreign = await stranger.svid(WEB)
  await certifier(plane, foreign, await plane.ca.token())(anyCsr())
  assert.match(lastProof(plane), /^join-token:/)
})

test('workloadCertifier tells both reasons when neither proof is accepted', async (t) => {
  const plane = await startControlPlane(t)
  const stranger = await startControlPlane(t, { ca: await memoryCa(Date.now()) })
  const foreign = await stranger.svid(WEB)
  const expired = await plane.ca.token(WEB, 1)
  await assert.rejects(certifier(plane, foreign, expired)(anyCsr()), (error) => {
    assert.ok(error instanceof ControlError)
    assert.match(error.message, /not available: .*; and with the token: .*CA_TOKEN_EXPIRED/)
    return true
  })
  await assert.rejects(certifier(plane, undefined, undefined)(anyCsr()), { message: /no token/ })
})
