import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import test from 'node:test'
import { RunningDemo } from './running-demo.ts'

test('demo --once shows every step, exits with 0 and leaves nothing behind', async (t) => {
  const demo = await RunningDemo.start(t, '--once')
  assert.equal(await demo.ended, 0, demo.stdout + demo.stderr)
  const { stdout, stderr } = demo
  assert.equal(stderr, '')
  for (const [index, shown] of [
    'kettle 24.00, lantern 39.50, notebook 6.80',
    'intruder got 403 \\{"decision":"[0-9a-f]+"\\}',
    'rules\\[0\\]\\.to\\[0\\]\\.methods: wants GET, got DELETE',
    '15 03 03 00 02 02 0a = alert, fatal, unexpected_message',
    'certificate_required from the server',
    'one long response \\d+ lines, none missing, to its end',
    '✓ 5 When may data flow\\?',
  ].entries()) {
    // Wherever the lines are broken.
    const inStep = `^ ${index + 1}  [^]*${shown.replaceAll(' ', '\\s+')}[^]*^  ✔ step ${index + 1} held$`
    assert.match(stdout, new RegExp(inStep, 'm'))
  }
  assert.equal(stdout.match(/requests, 0 failed$/gm)?.length, 3)
  assert.ok(!stdout.includes('✘') && !stdout.includes('\u001b'))
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line)
  assert.match(stdout, /^✔ All 7 steps held, in [\d.]+ s\.\n$/m)
  assert.deepEqual(await readdir(demo.directory), [])
})

test('demo refuses what it does not know', async (t) => {
  const demo = await RunningDemo.start(t, '--twice')
  assert.equal(await demo.ended, 2)
  assert.match(demo.stderr, /COMMAND_USAGE: --twice: no such flag/)
})
