import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFile } from 'node:fs/promises'
import test, { type TestContext } from 'node:test'
import { callHttp } from '../../../src/cmd/demo/call-http.ts'
import { Family } from '../../../src/cmd/demo/family.ts'
import { Feed, keepAsking, type Tally } from '../../../src/cmd/demo/traffic.ts'
import { until, within } from '../../../src/cmd/demo/wait.ts'
import { DemoError } from '../../../src/cmd/errors.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const SIGNAL = new AbortController().signal
const LIMITS = { what: 'an end', timeoutMs: 20, signal: SIGNAL }
const PATIENT = { timeoutMs: 20_000, signal: SIGNAL }

const TIMEOUT = { code: 'DEMO_TIMEOUT' }

async function familyOf(t: TestContext): Promise<Family> {
  const family = new Family({
    logDirectory: await temporaryDirectory(t),
    env: process.env,
    stopTimeoutMs: 300,
  })
  t.after(() => family[Symbol.asyncDispose]())
  return family
}

test('Family tells of a child that ends on its own, with the end of its log', async (t) => {
  const family = await familyOf(t)
  const child = family.start("web's sidecar", ['-e', 'console.error("no disk"); process.exitCode = 3'])
  if (!family.signal.aborted) await once(family.signal, 'abort')
  const reason = family.signal.reason as DemoError
  assert.ok(reason instanceof DemoError)
  assert.equal(reason.code, 'DEMO_CHILD_ENDED')
  assert.match(
    reason.message,
    /^web's sidecar ended on its own, exit code 3; .*web-sidecar\.log ends with:\n {2}no disk$/,
  )
  await assert.rejects(child.line('ready', PATIENT), { code: 'DEMO_CHILD_ENDED' })
})

test('Family stops its children, by force where they do not heed', async (t) => {
  const family = await familyOf(t)
  const script =
    'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log(JSON.stringify({message:"up"}))'
  const [mild, stubborn] = [
    family.start('mild', ['-e', script.replace(/^.*?;/, '')]),
    family.start('stubborn', ['-e', script]),
  ]
  await Promise.all([mild.line('up', PATIENT), stubborn.line('up', PATIENT)])
  await family[Symbol.asyncDispose]()
  assert.equal(await mild.ended, 'signal SIGTERM')
  assert.equal(await stubborn.ended, 'signal SIGKILL')
  assert.equal(family.signal.aborted, false)
})

test('Child.line finds a line that has come and waits for one that is to come', async (t) => {
  const family = await familyOf(t)
  const child = family.start('talker', [
    '-e',
    'console.log("{\\"message\\":\\"a\\",\\"n\\":1}"); console.log("noise"); setTimeout(() => console.log("{\\"message\\":\\"b\\"}"), 50); setInterval(() => {}, 1000)',
  ])
  assert.equal((await child.line('b', PATIENT)).message, 'b')
  assert.equal((await child.line('a', PATIENT))['n'], 1)
  await assert.rejects(child.line('c', { timeoutMs: 20, signal: SIGNAL }), TIMEOUT)
  assert.match(await readFile(child.logFile, 'utf8'), /noise/)
})

test('until and within give up in time, and at once when called off', async () => {
  await assert.rejects(
    until(() => Promise.resolve(undefined), LIMITS),
    TIMEOUT,
  )
  await assert.rejects(within(new Promise(() => {}), LIMITS), TIMEOUT)
  let asked = 0
  const third = (): Promise<string | undefined> => Promise.resolve(++asked === 3 ? 'there' : undefined)
  assert.equal(await until(third, { ...LIMITS, timeoutMs: 20_000 }), 'there')
  const reason = new Error('called off')
  const off = { what: 'x', timeoutMs: 20_000, signal: AbortSignal.abort(reason) }
  await assert.rejects(
    until(() => Promise.resolve(undefined), off),
    reason,
  )
  await assert.rejects(within(new Promise(() => {}), off), reason)
})

test('callHttp says what did not answer', async (t) => {
  const url = await serve(t, () => {})
  await assert.rejects(callHttp(`${url}/slow`, { timeoutMs: 30 }), (error: DemoError) => {
    assert.equal(error.code, 'DEMO_TIMEOUT')
    assert.match(error.message, /^GET http:\S+\/slow: expected an answer within 30 ms, got none$/)
    return true
  })
})

test('keepAsking goes on after failures and counts them', async () => {
  const tally: Tally = { requests: 0, failures: [] }
  const stop = new AbortController()
  await keepAsking(
    () => {
      if (tally.requests === 3) stop.abort()
      return tally.requests === 2 ? Promise.reject(new Error('refused')) : Promise.resolve()
    },
    tally,
    stop.signal,
  )
  assert.deepEqual(tally, { requests: 3, failures: ['refused'] })
})

test('Feed counts lines to the end of the response', async (t) => {
  const url = await serve(t, (_incoming, response) => response.end('1\n2\n3\n'))
  const feed = await Feed.open(url, SIGNAL)
  assert.equal(await feed.ended, undefined)
  assert.equal(feed.lines, 3)
})

test('Feed notices a line that is missing, an end that is none and another answer than 200', async (t) => {
  const gap = await serve(t, (_incoming, response) => response.end('1\n3\n'))
  assert.equal(await (await Feed.open(gap, SIGNAL)).ended, 'line 2 read "3"')
  const cut = await serve(t, (_incoming, response) => {
    response.write('1\n')
    setTimeout(() => response.destroy(), 30)
  })
  assert.notEqual(await (await Feed.open(cut, SIGNAL)).ended, undefined)
  const missing = await serve(t, (_incoming, response) => response.writeHead(404).end())
  await assert.rejects(Feed.open(missing, SIGNAL), { code: 'DEMO_UNEXPECTED' })
})

async function serve(t: TestContext, handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
