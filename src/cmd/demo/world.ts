import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { STATE_FILES } from '../controller/state-files.ts'
import { DemoError } from '../errors.ts'
import type { Child, LogLine } from './child.ts'
import type { Family } from './family.ts'
import { appArguments, runVerb, verbArguments } from './program.ts'
import { controllerYaml, policyYaml, sidecarYaml } from './resources.ts'
import { idOf, WORKLOADS, type Workload } from './shop.ts'
import { SidecarAdmin } from './sidecar-admin.ts'

/** Everything that the steps and the user play with, at work. Addresses are `host:port`. */
export interface World {
  readonly controller: Child
  readonly controllerAddress: string
  readonly trustBundleFile: string
  readonly policyFile: string
  readonly catalog: { readonly app: string; readonly inbound: string; readonly admin: SidecarAdmin }
  readonly web: { readonly app: string; readonly outbound: string; readonly admin: SidecarAdmin }
  readonly intruder: { readonly outbound: string; readonly admin: SidecarAdmin }
}

/** Where and with what a world is made. */
export interface Site {
  /** Where it keeps its files; only the owner may read it. */
  readonly directory: string
  readonly family: Family
  readonly env: Readonly<Record<string, string | undefined>>
  /** Calls it off. */
  readonly signal: AbortSignal
}

interface Mesh {
  readonly controller: Child
  readonly address: string
  readonly trustBundleFile: string
  readonly policyFile: string
}

interface Sidecar {
  readonly child: Child
  readonly admin: string
  /** By the names in its configuration. */
  readonly listeners: Readonly<Record<string, string>>
}

/** Generous: two slow cores start nine processes. */
const START_TIMEOUT_MS = 30_000

/** The controller's state is for its owner alone. */
const DIRECTORY_MODE = 0o700

/**
 * Starts the controller, the applications and their sidecars, each as a process of its own on whatever ports are free,
 * and waits until traffic may pass.
 *
 * @throws DemoError
 */
export async function startWorld(site: Site): Promise<World> {
  const { family, signal } = site
  const catalogApp = family.start('catalog', appArguments('catalog'))
  const mesh = await startMesh(site)
  const app = addressIn(await said(site, catalogApp, 'listening'))
  const catalog = await startSidecar(site, mesh, 'catalog', { app })
  const inbound = catalog.listeners['catalog']!
  const [web, intruder] = await Promise.all([
    startSidecar(site, mesh, 'web', { catalog: inbound }),
    startSidecar(site, mesh, 'intruder', { catalog: inbound }),
  ])
  const outbound = web.listeners['catalog']!
  const webApp = family.start('web', appArguments('web'), { CATALOG_ADDRESS: outbound })
  const [webListening] = await Promise.all([
    said(site, webApp, 'listening'),
    ...[catalog, web, intruder].map(({ child }) => said(site, child, 'ready')),
  ])
  const adminOf = ({ admin }: Sidecar): SidecarAdmin => new SidecarAdmin(admin, signal)
  return {
    controller: mesh.controller,
    controllerAddress: mesh.address,
    trustBundleFile: mesh.trustBundleFile,
    policyFile: mesh.policyFile,
    catalog: { app, inbound, admin: adminOf(catalog) },
    web: { app: addressIn(webListening), outbound, admin: adminOf(web) },
    intruder: { outbound: intruder.listeners['catalog']!, admin: adminOf(intruder) },
  }
}

/** The controller with its policy, and a join token for each workload. */
async function startMesh(site: Site): Promise<Mesh> {
  const { directory, family } = site
  const stateDir = join(directory, 'controller')
  const policyPath = join(directory, 'policy')
  for (const path of [stateDir, policyPath]) await mkdir(path, { mode: DIRECTORY_MODE })
  const policyFile = join(policyPath, 'shop.yaml')
  await writeFile(policyFile, policyYaml())
  const controllerFile = join(directory, 'controller.yaml')
  await writeFile(controllerFile, controllerYaml({ stateDir, policyPath }))

  const controller = family.start('controller', verbArguments('controller', '--config', controllerFile))
  const [ready] = await Promise.all([
    said(site, controller, 'ready'),
    ...WORKLOADS.map((workload) => createToken(site, workload, controllerFile)),
  ])
  return {
    controller,
    address: addressIn(ready),
    trustBundleFile: join(stateDir, STATE_FILES.trustBundle),
    policyFile,
  }
}

async function createToken(
  { directory, env, signal }: Site,
  workload: Workload,
  config: string,
): Promise<void> {
  const args = ['--spiffe-id', idOf(workload), '--output', tokenFile(directory, workload), '--config', config]
  const { code, stderr } = await runVerb(['controller', 'token', 'create', ...args], {
    env,
    timeoutMs: START_TIMEOUT_MS,
    signal,
  })
  if (code !== 0)
    throw new DemoError('DEMO_UNEXPECTED', `Expected a join token for ${workload}, got: ${stderr.trim()}`)
}

/** @param sides the application that peers reach, and where catalog is for those that call it */
async function startSidecar(
  site: Site,
  { address, trustBundleFile }: Mesh,
  workload: Workload,
  sides: { readonly app?: string; readonly catalog?: string },
): Promise<Sidecar> {
  const { directory, family } = site
  const file = join(directory, `${workload}.yaml`)
  const joinTokenFile = tokenFile(directory, workload)
  await writeFile(
    file,
    sidecarYaml(workload, { controllerAddress: address, trustBundleFile, joinTokenFile, ...sides }),
  )
  const child = family.start(`${workload}'s sidecar`, verbArguments('proxy', '--config', file))
  const { admin, listeners } = await said(site, child, 'listening')
  return { child, admin: String(admin), listeners: listeners as Sidecar['listeners'] }
}

function said({ signal }: Site, child: Child, message: string): Promise<LogLine> {
  return child.line(message, { timeoutMs: START_TIMEOUT_MS, signal })
}

function addressIn({ address }: LogLine): string {
  return String(address)
}

function tokenFile(directory: string, workload: Workload): string {
  return join(directory, `${workload}.token`)
}
