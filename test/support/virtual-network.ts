/** Several hosts on one wire, each a network namespace of its own, as the pods of a cluster are. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { toolsAreHere } from './network-namespace.ts'

/** Between two attempts to see something on the wire: longer than the recorder keeps packets to itself. */
const MARK_MS = 100

const MAIN = join(import.meta.dirname, '../../src/cmd/main.ts')

/** User and group of sidecars, and of applications. */
export const PROXY_USER = 1337
const APP_USER = 1000

/** Why there can be no virtual network here; undefined where there can. */
export function noVirtualNetwork(...tools: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'There are no network namespaces here'
  if (process.getuid?.() !== 0) return 'Only root may run programs as other users in network namespaces'
  try {
    const script = toolsAreHere(['unshare', 'nsenter', 'setpriv', 'ip', 'nft', ...tools])
    const readable = [...asUser(PROXY_USER), process.execPath, '-e', `fs.accessSync(${JSON.stringify(MAIN)})`]
    execFileSync('unshare', ['--net', 'sh', '-c', `${script} && exec "$@"`, 'sh', ...readable], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    return undefined
  } catch (error) {
    const { stderr, message } = error as Error & { readonly stderr?: Buffer }
    return `No virtual network, or none where user ${PROXY_USER} can read this repository: ${stderr?.toString().trim() || message}`
  }
}

/** A command line that runs the one after it without any capability. */
function asUser(user: number): readonly string[] {
  const id = String(user)
  const none = ['--inh-caps=-all', '--bounding-set=-all', '--no-new-privs']
  return ['setpriv', '--reuid', id, '--regid', id, '--clear-groups', ...none]
}

/** One host. */
export class VirtualHost {
  readonly name: string
  readonly ipv4: string
  readonly ipv6: string
  readonly #namespace: string

  constructor(name: string, { pid, number }: { readonly pid: number; readonly number: number }) {
    this.name = name
    this.ipv4 = `10.88.0.${number}`
    this.ipv6 = `fd88::${number}`
    this.#namespace = `/proc/${pid}/ns/net`
  }

  /** Command lines that run the one after them on this host, as root, as its sidecar, or as its application. */
  get asRoot(): readonly [string, ...string[]] {
    return ['nsenter', `--net=${this.#namespace}`]
  }
  get asProxy(): readonly [string, ...string[]] {
    return [...this.asRoot, ...asUser(PROXY_USER)]
  }
  get asApp(): readonly [string, ...string[]] {
    return [...this.asRoot, ...asUser(APP_USER)]
  }

  /** Runs a command line as root. @returns what it wrote. @throws Error when it fails */
  run(line: string): string {
    const [file, ...args] = this.asRoot
    return execFileSync(file, [...args, ...line.split(' ')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  /** Runs `handfast` as root. */
  handfast(...args: readonly string[]): {
    readonly code: number
    readonly stdout: string
    readonly stderr: string
  } {
    const [file, ...rest] = this.asRoot
    try {
      const stdout = execFileSync(file, [...rest, process.execPath, MAIN, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      return { code: 0, stdout, stderr: '' }
    } catch (error) {
      const { status, stdout, stderr } = error as { readonly status: number; stdout: string; stderr: string }
      return { code: status, stdout, stderr }
    }
  }
}

/** What crosses the wire, from the beginning of the recording. */
export interface Recording {
  /** Has one text after the other sent until the recording shows one. */
  readonly sees: (send: (text: string) => Promise<void>) => Promise<void>
  /** Ends it. */
  readonly stop: () => Promise<Buffer>
}

/** Hosts on one wire. */
export interface VirtualNetwork {
  /** In the order of their names. */
  readonly hosts: readonly VirtualHost[]
  /** Begins to record every packet on the wire. */
  readonly record: (file: string) => Promise<Recording>
}

/** Lays the wire and connects a host of each name to it. All of it vanishes with the test, or with its process. */
export async function virtualNetwork(t: TestContext, ...names: readonly string[]): Promise<VirtualNetwork> {
  const wire = new VirtualHost('wire', { pid: await namespace(t), number: 0 })
  wire.run('ip link add wire type bridge')
  wire.run('ip link set wire up')
  const hosts: VirtualHost[] = []
  for (const [index, name] of names.entries()) {
    const pid = await namespace(t)
    const host = new VirtualHost(name, { pid, number: index + 1 })
    wire.run(`ip link add port${index} type veth peer name eth0 netns ${pid}`)
    wire.run(`ip link set port${index} master wire up`)
    host.run('ip link set lo up')
    host.run('ip link set eth0 up')
    host.run(`ip address add ${host.ipv4}/16 dev eth0`)
    host.run(`ip address add ${host.ipv6}/64 dev eth0 nodad`)
    // Whatever is elsewhere is on the wire: services have addresses that no host has.
    host.run('ip route add default dev eth0')
    host.run('ip -6 route add default dev eth0')
    hosts.push(host)
  }
  return { hosts, record: (file) => record(t, wire, file) }
}

/** A process that holds a new network namespace for as long as this one lives. */
async function namespace(t: TestContext): Promise<number> {
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  return holder.pid!
}

async function record(t: TestContext, wire: VirtualHost, file: string): Promise<Recording> {
  const [program, ...args] = wire.asRoot
  const child = spawn(program, [...args, 'dumpcap', '-q', '-i', 'any', '-w', file], { stdio: 'ignore' })
  t.after(() => child.kill('SIGKILL'))
  const bytes = (): Buffer => (existsSync(file) ? readFileSync(file) : Buffer.of())
  let marks = 0
  return {
    async sees(send) {
      const before = marks
      const isSeen = (): boolean => {
        const recorded = bytes()
        for (let mark = before + 1; mark <= marks; mark++) if (recorded.includes(`mark-${mark}.`)) return true
        return false
      }
      for (; !isSeen(); await delay(MARK_MS)) await send(`mark-${++marks}.`)
    },
    async stop() {
      child.kill('SIGINT')
      await once(child, 'exit')
      return bytes()
    },
  }
}
