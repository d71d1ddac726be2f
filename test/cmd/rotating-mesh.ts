/** A mesh whose authority is rotated under traffic, and whose controller is killed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RotationReport } from '../../src/ca/rotator.ts'
import type { Address } from '../../src/config/address.ts'
import { httpApp } from '../support/apps.ts'
import { fetchFrom } from '../support/proxy-world.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Cli, type CliResult, runCli } from './cli.ts'
import { configOf, DOMAIN, line, listenerOf } from './mesh.ts'

/** Long enough to outlive restarts of the controller on a busy machine, short enough to be waited for. */
const SVID_TTL_S = 30

/** A whole rotation waits once for certificates to end; the rest is restarts, each some seconds on a busy machine. */
const DEADLINE_MS = 400_000

const DYING_CONTROLLER = join(import.meta.dirname, '../support/dying-controller.ts')

/** A controller beside the first. */
export interface Replica {
  readonly cli: Cli
  readonly address: string
}

/** A mesh of one controller, which can be killed and comes back on its port, and its sidecars. */
export class RotatingMesh {
  readonly directory: string
  readonly #t: TestContext
  #controller: Cli | undefined
  #listen = '127.0.0.1:0'

  readonly #deadlineMs: number

  constructor(t: TestContext, directory: string, deadlineMs: number) {
    this.#t = t
    this.directory = directory
    this.#deadlineMs = deadlineMs
  }

  get config(): string {
    return join(this.directory, 'controller.yaml')
  }

  get stateDir(): string {
    return join(this.directory, 'state')
  }

  async start(): Promise<void> {
    await this.#configure()
    this.#controller = new Cli(this.#t, ['controller', '--config', this.config], {}, this.#deadlineMs)
    this.#listen = String((await line(this.#controller, 'ready'))['address'])
  }

  /**
   * Starts a controller that is killed right before its n-th operation on a file.
   *
   * @returns whether it has lived until it was ready
   */
  async startDying(n: number): Promise<boolean> {
    await this.#configure()
    const args = [String(n), this.config]
    this.#controller = new Cli(this.#t, args, {}, this.#deadlineMs, DYING_CONTROLLER)
    return Promise.race([
      line(this.#controller, 'ready').then(() => true),
      this.#controller.ended().then(({ stderr }) => {
        assert.equal(stderr, '', 'it was killed, and did not fail')
        return false
      }),
    ])
  }

  /** Starts another controller on the same state directory. */
  async startReplica(name: string, listen: string = '127.0.0.1:0'): Promise<Replica> {
    const args = ['controller', '--config', this.config, '--replica', name, '--listen', listen]
    const cli = new Cli(this.#t, args, {}, this.#deadlineMs)
    return { cli, address: String((await line(cli, 'ready'))['address']) }
  }

  /** Where the controller listens that `start` has started. */
  get address(): string {
    return this.#listen
  }

  get controller(): Cli {
    return this.#controller!
  }

  get isDead(): boolean {
    return this.#controller!.child.signalCode === 'SIGKILL'
  }

  async #configure(): Promise<void> {
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
  }

  async kill(): Promise<void> {
    const { child } = this.#controller!
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  /** @param controllers where it finds them. @default the one that `start` starts */
  async sidecar(
    name: string,
    listeners: string,
    controllers: readonly string[] = [this.#listen],
  ): Promise<Cli> {
    const token = join(this.directory, `${name}.token`)
    const id = `spiffe://${DOMAIN}/ns/shop/sa/${name}`
    const flags = ['--spiffe-id', id, '--output', token, '--config', this.config]
    const made = await runCli(this.#t, ['controller', 'token', 'create', ...flags])
    assert.equal(made.code, 0, made.stderr)
    const file = join(this.directory, `${name}.yaml`)
    const bundle = join(this.stateDir, 'trust-bundle.pem')
    await writeFile(file, configOf({ controllers, bundle, token, listeners }))
    return new Cli(this.#t, ['proxy', '--config', file], {}, this.#deadlineMs)
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

/** Requests one after the other, each over a connection of its own, until stopped. */
export function traffic(
  t: TestContext,
  entry: Address,
): {
  readonly stop: () => Promise<{ done: number; failures: string[] }>
} {
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
  t.after(() => stopping.abort())
  return {
    async stop() {
      stopping.abort()
      await ended
      return { done, failures }
    },
  }
}

export interface MeshWithTraffic {
  readonly mesh: RotatingMesh
  readonly web: Cli
  readonly catalog: Cli
  /** Where requests go in that come out at the application. */
  readonly entry: Address
  /** The second controller, if there is one. */
  readonly second: Replica | undefined
}

export interface MeshOptions {
  /** @default enough for a rotation */
  readonly deadlineMs?: number
  /** The name of a second controller, which both sidecars know, too. @default there is one controller */
  readonly second?: string
}

/** Two sidecars, of which one may call the other. */
export async function meshWithTraffic(
  t: TestContext,
  { deadlineMs = DEADLINE_MS, second: name }: MeshOptions = {},
): Promise<MeshWithTraffic> {
  const app = await httpApp(t, (_incoming, response) => response.end('here'))
  const mesh = new RotatingMesh(t, await temporaryDirectory(t), deadlineMs)
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
  const second = name === undefined ? undefined : await mesh.startReplica(name)
  // Which of them a proxy begins with is left to chance.
  const first = mesh.address
  const controllers = second === undefined ? [first] : [first, second.address]
  const catalog = await mesh.sidecar(
    'catalog',
    `  inbound: [{ name: in, listen: 127.0.0.1:0, forward: 127.0.0.1:${app.address.port}, protocol: tcp }]`,
    controllers,
  )
  const gate = listenerOf(await line(catalog, 'ready'), 'in')
  const web = await mesh.sidecar(
    'web',
    `  outbound:
    - { name: out, listen: 127.0.0.1:0, connect: 127.0.0.1:${gate.port}, peer: "spiffe://${DOMAIN}/ns/shop/sa/catalog", protocol: tcp }`,
    controllers,
  )
  const entry = listenerOf(await line(web, 'ready'), 'out')
  return { mesh, web, catalog, entry, second }
}
