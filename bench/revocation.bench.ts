/**
 * From `handfast ca revoke` to cut connections. A controller and its operator's commands are processes, as shipped; a hundred
 * proxies are in this process, each a whole proxy with its own link to the controller, its own identity and an open
 * connection that one more proxy, `web`, has made through both. `web` is revoked, every connection is timed until its
 * application sees the end, and it is let back in; again for each round. Run it with `node bench/revocation.bench.ts`.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { MeshLink } from '../src/cmd/proxy/mesh-link.ts'
import { readProxySettings } from '../src/cmd/proxy/settings.ts'
import { type Address, formatAddress } from '../src/config/address.ts'
import { RenewalQueue } from '../src/control/renewal-queue.ts'
import { systemTimers } from '../src/control/timers.ts'
import { nativeCrypto } from '../src/crypto/native-provider.ts'
import { nodeTransport } from '../src/net/node-transport.ts'
import { decisionIds } from '../src/proxy/decision-ids.ts'
import { MeshViews } from '../src/proxy/mesh-view.ts'
import { startProxy } from '../src/proxy/proxy.ts'
import { createLogger } from '../src/telemetry/log.ts'
import { startInlineThread } from '../test/support/inline-thread.ts'

const PROXIES = 100
const ROUNDS = 5
const DOMAIN = 'example.org'
const WEB = `spiffe://${DOMAIN}/ns/shop/sa/web`
const CATALOG = `spiffe://${DOMAIN}/ns/shop/sa/catalog`

/** A round is over long before, on any machine. */
const PATIENCE_MS = 60_000

const BUILT = join(import.meta.dirname, '../dist/cmd/main.js')
const MAIN = existsSync(BUILT) ? BUILT : join(import.meta.dirname, '../src/cmd/main.ts')

const crypto = nativeCrypto()
const directory = await mkdtemp(join(tmpdir(), 'handfast-revocation-'))
const stateDir = join(directory, 'state')
const log = createLogger({ level: 'silent', destination: process.stderr, component: 'bench' })
const cleanUp = new AsyncDisposableStack()

try {
  await main()
} finally {
  await cleanUp.disposeAsync()
  await rm(directory, { recursive: true, force: true })
}

async function main(): Promise<void> {
  const controller = await startController()
  for (const [name, id] of [
    ['web', WEB],
    ['catalog', CATALOG],
  ] as const)
    await handfast(
      'controller',
      'token',
      'create',
      '--spiffe-id',
      id,
      '--output',
      join(directory, `${name}.token`),
    )
  const app = await startApplication()
  const file = await configure(
    controller,
    'catalog',
    `  inbound: [{ name: in, listen: 127.0.0.1:0, forward: ${formatAddress(app)}, protocol: tcp }]`,
  )
  const catalogs = await Promise.all(Array.from({ length: PROXIES }, () => startProxyOf(file)))
  const outbound = catalogs.map(
    ({ addresses }, index) =>
      `    - { name: out-${index}, listen: 127.0.0.1:0, connect: ${formatAddress(addresses['in']!)}, peer: "${CATALOG}", protocol: tcp }`,
  )
  const web = await startProxyOf(await configure(controller, 'web', `  outbound:\n${outbound.join('\n')}`))
  const entries = outbound.map((_, index) => web.addresses[`out-${index}`]!)

  const startUps: number[] = []
  const sinceCommand: number[] = []
  const sinceArrival: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const idleMs = performance.now()
    await handfast('ca', 'revoke', 'list')
    startUps.push(performance.now() - idleMs)
    const connections = await Promise.all(entries.map(openConnection))
    const beganMs = performance.now()
    const answered = handfast('ca', 'revoke', '--spiffe-id', WEB, '--json')
    const endsMs = await Promise.all(connections.map(({ ended }) => ended))
    sinceCommand.push(...endsMs.map((endedMs) => endedMs - beganMs))
    const { proxies, tookMs } = JSON.parse(await answered) as {
      readonly proxies: { readonly acknowledged: number }
      readonly tookMs: number
    }
    if (proxies.acknowledged < PROXIES) throw new Error(`Only ${proxies.acknowledged} proxies acknowledged`)
    sinceArrival.push(tookMs)
    await handfast('ca', 'unrevoke', '--spiffe-id', WEB)
  }
  print(
    `${PROXIES} proxies in one process, ${ROUNDS} rounds, ${MAIN === BUILT ? 'the bundle' : 'the sources'}\n`,
  )
  print('                                                        p50 ms    p99 ms    most ms')
  print(row('a command that changes nothing, start to end', startUps))
  print(row('from the start of the command to a cut connection', sinceCommand))
  print(row('from its arrival to the last acknowledgement', sinceArrival))
}

/** @returns where it listens */
async function startController(): Promise<string> {
  const policy = join(directory, 'policy.yaml')
  await writeFile(
    policy,
    `apiVersion: handfast.dev/v1alpha1
kind: AuthorizationPolicy
metadata: { name: catalog, namespace: shop }
spec: { action: ALLOW, rules: [{ from: [{ principals: ["${WEB}"] }] }] }
`,
  )
  const child = spawnHandfast(
    'controller',
    '--trust-domain',
    DOMAIN,
    '--listen',
    '127.0.0.1:0',
    '--policy',
    policy,
  )
  cleanUp.defer(async () => {
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  for await (const line of createInterface(child.stdout!)) {
    const { message, address } = JSON.parse(line) as { readonly message: string; readonly address: string }
    if (message !== 'ready') continue
    child.stdout!.resume()
    return address
  }
  throw new Error('The controller did not start')
}

async function startApplication(): Promise<Address> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanUp.defer(() => void server.close())
  const { port } = server.address() as { readonly port: number }
  return { host: '127.0.0.1', port }
}

async function configure(controller: string, name: string, listeners: string): Promise<string> {
  const file = join(directory, `${name}.yaml`)
  await writeFile(
    file,
    `apiVersion: handfast.dev/v1alpha1
kind: ProxyConfig
spec:
  trustDomain: ${DOMAIN}
  controller:
    address: ${controller}
    trustBundleFile: ${join(stateDir, 'trust-bundle.pem')}
    joinTokenFile: ${join(directory, `${name}.token`)}
  admin: { listen: 127.0.0.1:0 }
  drainTimeout: 0s
${listeners}
`,
  )
  return file
}

/** A proxy as the command starts it, but for its data-plane thread, which is this one. */
async function startProxyOf(
  file: string,
): Promise<{ readonly addresses: Readonly<Record<string, Address>> }> {
  const settings = await readProxySettings(file)
  const views = new MeshViews()
  const newId = decisionIds(crypto)
  const link = new MeshLink({
    settings,
    crypto,
    views,
    queue: new RenewalQueue(systemTimers),
    log,
    newId,
    settled: () => running.settled(),
  })
  cleanUp.use(link)
  const running = await startProxy({
    config: settings.config,
    startThread: startInlineThread,
    transport: nodeTransport,
    crypto,
    nowMs: Date.now,
    views,
    log,
    onLines: () => {},
    random: Math.random,
  })
  cleanUp.defer(() => running.drain())
  link.start()
  for (const endMs = Date.now() + PATIENCE_MS; views.current === undefined; await pause(20))
    if (Date.now() > endMs) throw new Error('A proxy got no identity or no policy')
  await running.settled()
  return running
}

/** Opens a connection and carries bytes both ways; `ended` says when it is over. */
async function openConnection(entry: Address): Promise<{ readonly ended: Promise<number> }> {
  for (const endMs = Date.now() + PATIENCE_MS; Date.now() < endMs; await pause(50)) {
    const socket = connect(entry)
    socket.on('error', () => {})
    const ended = new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now())))
    if (await Promise.race([echoes(socket), ended.then(() => false)])) return { ended }
  }
  throw new Error('A connection could not be made')
}

async function echoes(socket: Socket): Promise<boolean> {
  const back = new Promise<true>((resolve) => socket.once('data', () => resolve(true)))
  socket.write('ping')
  return back
}

/** Runs a command to its end. @returns what it has printed */
async function handfast(...args: readonly string[]): Promise<string> {
  const child = spawnHandfast(...args)
  let printed = ''
  child.stdout!.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  if (code !== 0) throw new Error(`handfast ${args.join(' ')} ended with ${code}`)
  return printed
}

/** On the bench's own trust domain. */
function spawnHandfast(...args: readonly string[]): ChildProcess {
  const domain = args[1] === 'token' ? ['--trust-domain', DOMAIN] : []
  return spawn(process.execPath, [MAIN, ...args, ...domain, '--state-dir', stateDir], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

function row(name: string, timesMs: readonly number[]): string {
  const sorted = timesMs.toSorted((a, b) => a - b)
  const at = (part: number): string => sorted[Math.floor(part * (sorted.length - 1))]!.toFixed(0)
  return [name.padEnd(52), at(0.5).padStart(10), at(0.99).padStart(10), at(1).padStart(11)].join('')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
