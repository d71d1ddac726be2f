import assert from 'node:assert/strict'
import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { journalFiles } from '../../src/ca/journal-files.ts'
import { openJournal } from '../../src/ca/open-journal.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { treeHeadText } from '../../src/ca/tree-head.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { type CliResult, runCli } from './cli.ts'

const START_MS = Date.UTC(2026, 5, 1)
const ENTRIES = 25

/** A state directory with a journal in it, and the head that it had in the middle. */
async function state(t: TestContext) {
  const stateDir = await temporaryDirectory(t)
  const directory = join(stateDir, 'journal')
  const options = { crypto: nativeCrypto(), trustDomain: 'example.org', nowMs: () => START_MS }
  await using journal = await openJournal(directory, options)
  let kept = ''
  for (let n = 1; n < ENTRIES; n++) {
    const time = new Date(START_MS + n * 60_000).toISOString()
    const spiffeId = `spiffe://example.org/ns/shop/sa/${n % 2 === 0 ? 'web' : 'api'}`
    await journal.append(
      n % 5 === 0
        ? { kind: 'refused', time, spiffeId, proof: 'peer-svid', code: 'CA_CSR_INVALID', reason: 'Not one' }
        : {
            kind: 'issued',
            time,
            spiffeId,
            proof: 'peer-svid',
            serialNumber: `0${(0xabcd00 + n).toString(16)}`.slice(-6).padStart(8, '0'),
            notAfter: new Date(START_MS + 3_600_000).toISOString(),
            certificateSha256: '00'.repeat(32),
            publicKeySha256: '11'.repeat(32),
          },
    )
    if (n === 12) kept = JSON.stringify(treeHeadText(journal.head!))
  }
  const keptFile = join(stateDir, 'kept.json')
  await writeFile(keptFile, kept)
  return { stateDir, keptFile, ...journalFiles(directory) }
}

function journal(t: TestContext, ...args: readonly string[]): Promise<CliResult> {
  return runCli(t, ['ca', 'journal', ...args])
}

test('handfast ca journal verify says that a journal is intact, by state directory or copied file', async (t) => {
  const { stateDir, log, publicKey, keptFile } = await state(t)
  const { code, stdout, stderr } = await journal(t, 'verify', '--journal', stateDir, '--head', keptFile)
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /^Intact: 25 entries, the newest head signed at 2026-06-01T00:00:00\.000Z/)

  const copy = join(stateDir, 'copy.jsonl')
  await copyFile(log, copy)
  const copied = await journal(t, 'verify', '--journal', copy, '--key', publicKey, '--json')
  assert.equal(copied.code, 0, copied.stderr)
  const report = JSON.parse(copied.stdout) as { intact: boolean; head: { size: number }; tailBytes: number }
  assert.deepEqual([report.intact, report.head.size, report.tailBytes], [true, 25, 0])
  const report2 = join(stateDir, 'report.json')
  await writeFile(report2, copied.stdout)
  assert.equal((await journal(t, 'verify', '--journal', stateDir, '--head', report2)).code, 0)
})

test('handfast ca journal verify names the first entry that is damaged, and fails', async (t) => {
  const { stateDir, log } = await state(t)
  const text = await readFile(log, 'utf8')
  await writeFile(log, text.replace('"index":7,"kind":"issued"', '"index":7,"kind":"issueD"'))
  const { code, stdout, stderr } = await journal(t, 'verify', '--journal', stateDir, '--json')
  assert.equal(code, 1)
  assert.match(stderr, /CA_JOURNAL_DAMAGED: .* damaged at byte \d+: entry 7 does not match its hash/)
  const { intact, damage } = JSON.parse(stdout) as { intact: boolean; damage: { index: number } }
  assert.deepEqual([intact, damage.index], [false, 7])
  for (const args of [['find'], ['prove', '--index', '3']])
    assert.match((await journal(t, ...args, '--journal', stateDir)).stderr, /CA_JOURNAL_DAMAGED/)
})

test('handfast ca journal verify tells a journal that was cut short or made anew by a head that was kept', async (t) => {
  const { stateDir, log, keptFile } = await state(t)
  const other = await state(t)
  const whole = await readFile(log, 'utf8')
  const cut = whole.slice(0, whole.indexOf('{"index":8,'))
  await truncate(log, cut.length)
  assert.equal((await journal(t, 'verify', '--journal', stateDir)).code, 0, 'nothing else tells')
  const short = await journal(t, 'verify', '--journal', stateDir, '--head', keptFile)
  assert.deepEqual([short.code, /cut short/.test(short.stderr)], [1, true], short.stderr)

  const foreign = await journal(t, 'verify', '--journal', stateDir, '--head', other.keptFile)
  assert.match(foreign.stderr, /CA_JOURNAL_PROOF: .*not signed by the journal's key/)
})

test('handfast ca journal find finds by serial number, identity, time and outcome', async (t) => {
  const { stateDir } = await state(t)
  const find = async (...args: readonly string[]): Promise<number[]> => {
    const { code, stdout, stderr } = await journal(t, 'find', '--journal', stateDir, '--json', ...args)
    assert.equal(code, 0, stderr)
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => (JSON.parse(line) as { index: number }).index)
  }
  assert.deepEqual(await find('--serial', 'AB:CD:07'), [7])
  assert.deepEqual(await find('--serial', '00abcd07'), [7])
  assert.deepEqual(await find('--serial', 'ff'), [])
  assert.deepEqual(await find('--outcome', 'refused'), [5, 10, 15, 20])
  assert.deepEqual(
    await find('--spiffe-id', 'spiffe://example.org/ns/shop/sa/web', '--outcome', 'refused'),
    [10, 20],
  )
  assert.deepEqual(
    await find('--since', '2026-06-01T00:07:00Z', '--until', '2026-06-01T00:10:00Z'),
    [7, 8, 9],
  )

  const { stdout, stderr } = await journal(t, 'find', '--journal', stateDir, '--outcome', 'refused')
  assert.match(
    stdout,
    /^5  2026-06-01T00:05:00\.000Z  refused  spiffe:\S+\/api  proof=peer-svid  code=CA_CSR_INVALID/,
  )
  assert.equal(stderr, '4 entries\n')
})

test('handfast ca journal prove writes proofs that hold with the public key alone', async (t) => {
  const { stateDir, publicKey } = await state(t)
  const proof = join(stateDir, 'proof.json')
  for (const [args, said] of [
    [['--index', '0'], '"kind":"begun"'],
    [['--index', '24'], '"index":24'],
    [['--serial', 'abcd07'], '"serialNumber":"00abcd07"'],
    [['--consistency', '13'], 'begin with the 13'],
    [['--consistency', '25'], 'begin with the 25'],
  ] as const) {
    const made = await journal(t, 'prove', '--journal', stateDir, ...args, '--output', proof)
    assert.equal(made.code, 0, made.stderr)
    const { code, stdout, stderr } = await journal(t, 'verify', '--proof', proof, '--key', publicKey)
    assert.equal(code, 0, stderr)
    assert.ok(stdout.startsWith('Holds: ') && stdout.includes(said), stdout)
  }
  const text = await readFile(proof, 'utf8')
  await writeFile(proof, text.replace('"size": 25', '"size": 24'))
  const altered = await journal(t, 'verify', '--proof', proof, '--key', publicKey)
  assert.deepEqual([altered.code, /CA_JOURNAL_PROOF/.test(altered.stderr)], [1, true])

  for (const [args, complaint] of [
    [['--index', '25'], /CA_JOURNAL_NO_ENTRY: There is no entry 25/],
    [['--serial', 'ff'], /CA_JOURNAL_NO_ENTRY: No certificate/],
    [['--consistency', '26'], /CA_JOURNAL_NO_ENTRY: The journal never had 26/],
    [['--index', 'x'], /--index: expected a number/],
    [[], /Expected one of --index, --serial and --consistency/],
  ] as const)
    assert.match((await journal(t, 'prove', '--journal', stateDir, ...args)).stderr, complaint)
})

test('handfast ca journal shows its verbs, and how to use them', async (t) => {
  const { code, stderr } = await journal(t)
  assert.equal(code, 2)
  for (const verb of ['verify', 'find', 'prove']) assert.ok(stderr.includes(`ca journal ${verb}`), stderr)
  assert.match((await journal(t, 'verfy')).stderr, /did you mean ca journal verify\?/)
  assert.match((await runCli(t, ['ca', '--help'])).stdout, /ca journal find/)
  const missing = await journal(t, 'verify')
  assert.deepEqual([missing.code, /--journal: expected/.test(missing.stderr)], [2, true])
})
