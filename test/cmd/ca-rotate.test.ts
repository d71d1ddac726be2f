import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RotationReport } from '../../src/ca/rotator.ts'
import { type Address, parseAddress } from '../../src/config/address.ts'
import { httpApp } from '../support/apps.ts'
import { fetchFrom } from '../support/proxy-world.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Cli, type CliResult, runCli } from './cli.ts'

const DOMAIN = 'example.org'

/** Long enough to outlive restarts of the controller on a busy machine, short enough to be waited for. */
const SVID_TTL_S = 30

/** A whole rotation waits once for certificates to end; the rest is restarts, each some seconds on a busy machine. */
const DEADLINE_MS = 400_000

/** A mesh of one controller, which can be killed and comes back on its port, and its sidecars. */
class Mesh {
  readonly directory: string
  readonly #t: TestContext
  #controller: Cli | undefined
  #listen = '127.0.0.1:0'

  constructor(t: TestContext, directory: string) {
    this.#t = t
    this.directory = directory
  }

  get config(): string {
    return join(this.directory, 'controller.yaml')
  }

  async start(): Promise<void> {
    await writeFile(
      this.config,
      `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: ${DOMAIN}
  stateDir: ${this.directory}/state
  listen: ${this.#listen}
  svidTtl: ${SVID_TTL_S}s
  policyPath: ${this.directory}/policy.yaml
`,
    )
    this.#controller = new Cli(this.#t, ['controller', '--config', this.config], {}, DEADLINE_MS)
    this.#listen = String((await line(this.#controller, 'ready'))['address'])
  }

  async kill(): Promise<void> {
    const { child } = this.#controller!
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  async sidecar(name: string, listeners: string): Promise<Cli> {
    const token = join(this.directory, `${name}.token`)
    const id = `spiffe://${DOMAIN}/ns/shop/sa/${name}`
    const flags = ['--spiffe-id', id, '--output', token, '--config', this.config]
    const made = await runCli(this.#t, ['controller', 'token', 'create', ...flags])
    assert.equal(made.code, 0, made.stderr)
    const file = join(this.directory, `${name}.yaml`)
    await writeFile(
      file,
      `apiVersion: handfast.dev/v1alpha1
kind: ProxyConfig
spec:
  trustDomain: ${DOMAIN}
  controller:
    address: ${this.#listen}
    trustBundleFile: ${join(this.directory, 'state/trust-bundle.pem')}
    joinTokenFile: ${token}
  admin: { listen: 127.0.0.1:0 }
  drainTimeout: 2s
${listeners}
`,
    )
    return new Cli(this.#t, ['proxy', '--config', file], {}, DEADLINE_MS)
  }

  rotate(...args: readonly string[]): Promise<CliResult> {
    return runCli(this.#t, ['ca', 'rotate', ...args, '--config', this.config])
  }

  async report(...args: readonly string[]): Promise<RotationReport> {
    const { code, stdout, stderr } = await this.rotate(...args, '--json')
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as RotationReport
  }

  /** Takes a step as soon as it is possible. */
  async step(action: 'activate' | 'taint' | 'remove', proxies: number): Promise<RotationReport> {
    for (;;) {
      const { steps, connected } = await this.report('status')
      if (steps[action]?.possible === true && connected >= proxies) return this.report(action)
      await sleep(250)
    }
  }
}

type Line = Readonly<Record<string, unknown>>

async function line(cli: Cli, message: string): Promise<Line> {
  const [text] = await cli.saw(new RegExp(`^.*"message":"${message}".*$`, 'm'), 'stdout')
  return JSON.parse(text) as Line
}

function listenerOf(ready: Line, name: string): Address {
  return parseAddress((ready['listeners'] as Record<string, string>)[name]!)!
}

/** Requests one after the other, each over a connection of its own, until stopped. */
function traffic(entry: Address): { readonly stop: () => Promise<{ done: number; failures: string[] }> } {
  const failures: string[] = []
  let done = 0
  const stopping = new AbortController()
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const { status, text } = await fetchFrom(entry, { path: '/', headers: { connection: 'close' } })
        if (status !== 200 || text !== 'here') failures.push(`${status} ${text}`)
      } catch (error) {
        failures.push(String(error))
      }
      done++
      await sleep(20)
    }
  }
  const ended = run()
  return {
    async stop() {
      stopping.abort()
      await ended
      return { done, failures }
    },
  }
}

async function meshWithTraffic(t: TestContext) {
  const app = await httpApp(t, (_incoming, response) => response.end('here'))
  const mesh = new Mesh(t, await temporaryDirectory(t))
  await writeFile(
    join(mesh.directory, 'policy.yaml'),
    `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: catalog, namespace: shop }
spec:
  action: ALLOW
  rules:
    - from: [{ principals: ["spiffe://${DOMAIN}/ns/shop/sa/web"] }]
`,
  )
  await mesh.start()
  const catalog = await mesh.sidecar(
    'catalog',
    `  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:${app.address.port}, protocol: tcp }]`,
  )
  const gate = listenerOf(await line(catalog, 'ready'), 'in')
  const web = await mesh.sidecar(
    'web',
    `  outbound:
    - { name: out, listen: 127.0.0.1:0, connect: 127.0.0.1:${gate.port}, peer: "spiffe://${DOMAIN}/ns/shop/sa/catalog", protocol: tcp }`,
  )
  const entry = listenerOf(await line(web, 'ready'), 'out')
  return { mesh, web, catalog, entry }
}

test('handfast ca rotate replaces root and intermediate under traffic, though the controller is killed at every step and a proxy lags', async (t) => {
  const { mesh, entry } = await meshWithTraffic(t)
  const state = join(mesh.directory, 'state')
  const oldBundle = await readFile(join(state, 'trust-bundle.pem'), 'utf8')
  const running = traffic(entry)

  const restart = async (): Promise<void> => {
    await mesh.kill()
    await mesh.start()
  }
  assert.equal((await mesh.report('status')).stage, 'none')
  assert.equal((await mesh.report('prepare')).next?.number, 2)
  await restart()
  await mesh.step('activate', 2)
  await restart()
  assert.deepEqual(
    [(await mesh.report('status')).stage, (await mesh.report('status')).next?.signs],
    ['active', true],
  )
  // Somebody who stays connected and says nothing.
  const idle = await mesh.sidecar(
    'idle',
    '  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:1, protocol: tcp }]',
  )
  await line(idle, 'State applied')
  while ((await mesh.report('status')).connected < 3) await sleep(100)
  idle.child.kill('SIGSTOP')
  await mesh.step('taint', 3)
  const refused = await mesh.rotate('remove', '--abandon-absent')
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /CA_ROTATION_WAITS: Cannot remove: waiting for .*\/sa\/idle on /)
  idle.child.kill('SIGCONT')
  await restart()

  const removed = await mesh.step('remove', 3)
  assert.deepEqual([removed.stage, removed.current.number, removed.connected], ['none', 2, 3])
  await restart()
  assert.equal((await mesh.report('status')).current.number, 2)
  const { done, failures } = await running.stop()
  assert.deepEqual(failures, [])
  assert.ok(done > 100, `${done} requests`)
  assert.notEqual(await readFile(join(state, 'trust-bundle.pem'), 'utf8'), oldBundle)
  const kept = (await readdir(join(state, 'ca'))).sort()
  assert.deepEqual(kept, ['intermediate-2.pem', 'root-2.pem', 'rotation.json'])
  t.diagnostic(`${done} requests, each over a connection of its own, none failed`)
})
