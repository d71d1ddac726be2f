/** Controller and sidecars as processes, by the shipped command line. */
import assert from 'node:assert/strict'
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
  /** Starts a sidecar of this service account; `listeners` is the YAML of its outbound and inbound lists. */
  readonly sidecar: (name: string, listeners: string) => Promise<Cli>
  readonly writePolicy: (principal: string) => Promise<void>
  /** Replaces `spec`, and has the controller read it. */
  readonly reconfigure: (spec: string) => Promise<void>
  /** The controller. */
  readonly cli: Cli
}

export interface MeshOptions {
  /** More of the controller's configuration, in YAML. @default nothing */
  readonly spec?: string
  /** @default DOMAIN, which policies mean in any case */
  readonly domain?: string
}

/**
 * Starts a controller; its policy allows `web`, and what `to` says.
 *
 * @param to what of a rule follows its `from`, in YAML
 */
export async function startMesh(
  t: TestContext,
  to: string = HTTP_ITEMS,
  { spec = '', domain = DOMAIN }: MeshOptions = {},
): Promise<Mesh> {
  const directory = await temporaryDirectory(t)
  const controllerFile = join(directory, 'controller.yaml')
  const configure = (more: string): Promise<void> =>
    writeFile(
      controllerFile,
      `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: ${domain}
  stateDir: ${join(directory, 'state')}
  listen: 127.0.0.1:0
  policyPath: ${join(directory, 'policy.yaml')}
${more}
`,
    )
  await configure(spec)
  const flags = ['--trust-domain', domain, '--state-dir', join(directory, 'state')]
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
    const id = `spiffe://${domain}/ns/shop/sa/${name}`
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
      configOf({
        controllers: [controller],
        bundle: join(directory, 'state/trust-bundle.pem'),
        token,
        listeners,
        domain,
      }),
    )
    return new Cli(t, ['proxy', '--config', file])
  }
  const reconfigure = async (more: string): Promise<void> => {
    await configure(more)
    cli.child.kill('SIGHUP')
  }
  return { directory, controller, cli, sidecar, writePolicy, reconfigure }
}

/** A proxy.yaml. */
export function configOf(parts: {
  /** Of its replicas. */
  controllers: readonly string[]
  bundle: string
  token: string
  listeners: string
  domain?: string
}): string {
  return `apiVersion: handfast.dev/v1alpha1
kind: ProxyConfig
spec:
  trustDomain: ${parts.domain ?? DOMAIN}
  controller:
    addresses: ["${parts.controllers.join('", "')}"]
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
