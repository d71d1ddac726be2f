import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import test from 'node:test'
import { ControlError } from '../../src/control/errors.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { openJournal } from '../../src/ca/open-journal.ts'
import { anyCsr, clientOf } from '../support/control-plane.ts'
import { bundlesIn, flagsFor, run, startController } from '../support/controller-process.ts'
import { readAll } from '../support/journals.ts'
import { WEB } from '../support/memory-ca.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const ROUNDS = 4
const CALLERS = 6

test('handfast controller, killed again and again while it issues, has recorded every certificate that it gave out', async (t) => {
  const stateDir = join(await temporaryDirectory(t), 'state')
  const given: string[] = []
  let joinToken: string | undefined
  for (let round = 0; round < ROUNDS; round++) {
    const controller = await startController(t, ...flagsFor(stateDir), '--listen', '127.0.0.1:0')
    joinToken ??= run(
      'controller',
      'token',
      'create',
      '--spiffe-id',
      WEB.toString(),
      ...flagsFor(stateDir),
    ).stdout.trim()
    const token = joinToken
    const client = clientOf({ address: controller.address, bundles: await bundlesIn(stateDir) })
    const enough = given.length + 5 + 7 * round
    const callers = Array.from({ length: CALLERS }, async () => {
      for (;;) {
        // It ends when there is no controller any more.
        const { chain } = await client.issueSvid({ csr: anyCsr(), joinToken: token })
        given.push(chain[0]!.serialNumber)
        if (given.length === enough) controller.process.kill('SIGKILL')
      }
    })
    const exited = once(controller.process, 'exit')
    for (const result of await Promise.allSettled(callers))
      assert.ok(
        result.status === 'rejected' && result.reason instanceof ControlError,
        String(result.status === 'rejected' && result.reason),
      )
    await exited
    assert.ok(given.length >= enough)
  }
  const directory = join(stateDir, 'journal')
  await using _journal = await openJournal(directory, {
    crypto: nativeCrypto(),
    trustDomain: 'example.org',
    nowMs: Date.now,
  })
  const { entries, end } = await readAll(directory)
  assert.ok(end.kind === 'intact' && end.tailBytes === 0)
  const recorded = new Set(entries.map(({ serialNumber }) => serialNumber))
  assert.deepEqual(
    given.filter((serialNumber) => !recorded.has(serialNumber)),
    [],
  )
})
