import assert from 'node:assert/strict'
import test from 'node:test'
import { CertificateReporter } from '../../src/control/certificate-reporter.ts'
import type { CertificateReport } from '../../src/control/client.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { clientOf, startControlPlane } from '../support/control-plane.ts'
import { ManualTimers } from '../support/manual-timers.ts'
import { WEB } from '../support/memory-ca.ts'
import { revocationsOf } from '../support/revocations.ts'

const crypto = nativeCrypto()

function chain(number: number, bytes = 4): readonly Uint8Array[] {
  const leaf = new Uint8Array(bytes)
  new DataView(leaf.buffer).setUint32(0, number)
  return [leaf, Uint8Array.of(255)]
}

function reporter(refuse: () => boolean = () => false) {
  const timers = new ManualTimers()
  const reports: CertificateReport[] = []
  const failures: unknown[] = []
  const it = new CertificateReporter({
    send(report) {
      if (refuse()) return Promise.reject(new Error('away'))
      reports.push(report)
      return Promise.resolve()
    },
    crypto,
    timers,
    random: () => 1,
    onFailure: (error) => failures.push(error),
  })
  /** Lets time pass, and promises settle. */
  const pass = async (ms: number): Promise<void> => {
    timers.advance(ms)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { it, timers, reports, failures, pass }
}

test('CertificateReporter sends each certificate once, several together, and what they share once', async () => {
  const { it, reports, pass } = reporter()
  it.add([chain(1), chain(2)])
  it.add([chain(1), chain(3), []])
  await pass(4_999)
  assert.equal(reports.length, 0)
  await pass(1)
  assert.deepEqual(reports, [
    { certificates: [chain(1)[0]!, chain(2)[0]!, chain(3)[0]!], issuers: [Uint8Array.of(255)] },
  ])
  it.add([chain(2)])
  await pass(60_000)
  assert.equal(reports.length, 1)
})

test('CertificateReporter keeps what did not arrive, up to a bound, and tries again', async () => {
  let away = true
  const { it, reports, failures, pass } = reporter(() => away)
  it.add(Array.from({ length: 1_000 }, (_, index) => chain(index)))
  await pass(5_000)
  assert.equal(failures.length, 1)
  away = false
  await pass(30_000)
  for (let i = 0; i < 10; i++) await pass(5_000)
  assert.deepEqual(
    reports.map(({ certificates }) => certificates.length),
    [64, 64, 64, 64, 64, 64, 64, 64],
  )
})

test('CertificateReporter keeps a report within what a call may carry', async () => {
  const { it, reports, pass } = reporter()
  it.add(Array.from({ length: 5 }, (_, index) => chain(index, 10_000)))
  it.add([chain(9, 40_000)])
  for (let i = 0; i < 5; i++) await pass(5_000)
  assert.deepEqual(
    reports.map(({ certificates }) => certificates.length),
    [3, 2, 1],
  )
})

test('CertificateReporter is silent when it is disposed of', async () => {
  const { it, reports, pass } = reporter()
  it.add([chain(1)])
  it[Symbol.dispose]()
  await pass(60_000)
  it.add([chain(2)])
  await pass(60_000)
  assert.equal(reports.length, 0)
})

test('ControlClient.reportCertificates reaches the witness of the controller, of verified callers only', async (t) => {
  const seen: string[] = []
  const witness = {
    report({
      reportedBy,
      leaves,
      issuers,
    }: {
      reportedBy: string
      leaves: readonly object[]
      issuers: readonly object[]
    }) {
      seen.push(`${reportedBy}: ${leaves.length} below ${issuers.length}`)
    },
  }
  const plane = await startControlPlane(t, { witness })
  const svid = await plane.svid(WEB)
  const [leaf, issuer] = svid.chain.map(({ der }) => der)
  const report = { certificates: [leaf!], issuers: [issuer!] }
  const client = clientOf(plane, { credential: () => svid })
  await client.reportCertificates(report)
  assert.deepEqual(seen, [`${WEB.toString()}: 1 below 1`])
  await assert.rejects(clientOf(plane).reportCertificates(report), { refusal: 'CA_NO_EVIDENCE' })
  for (const malformed of [
    { certificates: [Uint8Array.of(1)], issuers: [] },
    { certificates: Array.from({ length: 65 }, () => leaf!.subarray(0, 40)), issuers: [] },
    { certificates: [], issuers: Array.from({ length: 17 }, () => issuer!) },
  ])
    await assert.rejects(client.reportCertificates(malformed), { refusal: 'CONTROL_PROTOCOL' })
  plane.board.publish({
    ...plane.state('r2'),
    revocations: revocationsOf({ spiffeIds: [WEB.toString()] }),
  })
  await assert.rejects(client.reportCertificates(report), { refusal: 'CA_REVOKED' })
  assert.equal(seen.length, 1)
})

test('ControlClient.reportCertificates fails with a controller that knows no such service', async (t) => {
  const plane = await startControlPlane(t)
  const svid = await plane.svid(WEB)
  const client = clientOf(plane, { credential: () => svid })
  await assert.rejects(client.reportCertificates({ certificates: [], issuers: [] }), { code: /^CONTROL_/ })
})
