/** Controller and sidecars as processes, by the shipped command line. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Address, parseAddress } from '../../src/config/address.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Cli, runCli } from './cli.ts'

export const DOMAIN = 'example.org'

const HTTP_ITEMS = 'to: [{ methods: [GET], paths: ["/items*"] }]'

/** A line of a log. */
export type Line = Readonly<Record<string, unknown>>

/** The first JSON line with this message. */
export async function line(cli: Cli, message: string): Promise<Line> {
  const [text] = await cli.saw(new RegExp(`^.*"message":"${message}".*$`, 'm'), 'stdout')
  return JSON.parse(text) as Line
}

/** All JSON lines with this message, so far. */
export function lines(cli: Cli, message: string): Line[] {
  return cli.stdout
    .split('\n')
    .filter((text) => text.includes(`"message":"${message}"`))
    .map((text) => JSON.parse(text) as Line)
}

/** A controller that gives sidecars their identities. */
export interface Mesh {
  readonly directory: string
  readonly controller: string
  /** The controller's. */
  readonly process: ChildProcess
  /** Starts a sidecar of this service account; `listeners` is the YAML of its outbound and inbound lists. */
  readonly sidecar: (name: string, listeners: string) => Promise<Cli>
  readonly writePolicy: (principal: string) => Promise<void>
}

/**
 * Starts a controller; its policy allows `web`, and what `to` says.
 *
 * @param to what of a rule follows its `from`, in YAML
 * @param spec more of the controller's configuration, in YAML
 */
export async function startMesh(t: TestContext, to: string = HTTP_ITEMS, spec: string = ''): Promise<Mesh> {
  const directory = await temporaryDirectory(t)
  const controllerFile = join(directory, 'controller.yaml')
  await writeFile(
    controllerFile,
    `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: ${DOMAIN}
  stateDir: ${join(directory, 'state')}
  listen: 127.0.0.1:0
  policyPath: ${join(directory, 'policy.yaml')}
${spec}
`,
  )
  const flags = ['--trust-domain', DOMAIN, '--state-dir', join(directory, 'state')]
  const policyFile = join(directory, 'policy.yaml')
  const writePolicy = (principal: string): Promise<void> =>
    writeFile(
      policyFile,
      `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: catalog, namespace: shop }
spec:
  action: ALLOW
  rules:
    - from: [{ principals: ["spiffe://${DOMAIN}/ns/shop/sa/${principal}"] }]
      ${to}
`,
    )
  await writePolicy('web')
  const cli = new Cli(t, ['controller', '--config', controllerFile])
  const controller = String((await line(cli, 'ready'))['address'])
  const sidecar = async (name: string, listeners: string): Promise<Cli> => {
    const token = join(directory, `${name}.token`)
    const id = `spiffe://${DOMAIN}/ns/shop/sa/${name}`
    const made = await runCli(t, [
      'controller',
      'token',
      'create',
      '--spiffe-id',
      id,
      '--output',
      token,
      ...flags,
    ])
    assert.equal(made.code, 0, made.stderr)
    const file = join(directory, `${name}.yaml`)
    await writeFile(
      file,
      configOf({ controller, bundle: join(directory, 'state/trust-bundle.pem'), token, listeners }),
    )
    return new Cli(t, ['proxy', '--config', file])
  }
  return { directory, controller, process: cli.child, sidecar, writePolicy }
}

/** A proxy.yaml. */
export function configOf(parts: {
  controller: string
  bundle: string
  token: string
  listeners: string
}): string {
  return `apiVersion: handfast.dev/v1alpha1
kind: ProxyConfig
spec:
  trustDomain: ${DOMAIN}
  controller:
    address: ${parts.controller}
    trustBundleFile: ${parts.bundle}
    joinTokenFile: ${parts.token}
  admin: { listen: 127.0.0.1:0 }
  drainTimeout: 2s
${parts.listeners}
`
}

/** Where a proxy that said `ready` or `listening` listens. */
export function listenerOf(ready: Line, name: string): Address {
  return parseAddress((ready['listeners'] as Record<string, string>)[name]!)!
}
