import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { noVirtualNetwork, virtualNetwork, type VirtualHost } from '../support/virtual-network.ts'

const skip = noVirtualNetwork('iptables-save', 'ip6tables-save') ?? false

const BACKENDS = ['nftables', 'iptables'] as const

/** What breaks capture, and the claims that then fail. */
const BREAKAGES: Readonly<Record<(typeof BACKENDS)[number], Readonly<Record<string, readonly RegExp[]>>>> = {
  nftables: {
    'nft flush chain inet handfast outbound': [
      /^failed {2}IPv4: what the application sends/m,
      /^failed {2}IPv6: what the application sends/m,
    ],
    'nft flush chain inet handfast inbound': [/^failed {2}IPv4: what the proxy sends to this host/m],
    'nft delete chain inet handfast prerouting': [
      /^failed {2}The packet filter/m,
      /^ok {6}IPv4: what the application/m,
    ],
    'ip -6 address del ::6/128 dev lo': [
      /^failed {2}IPv6: what the proxy passes on/m,
      /^ok {6}IPv4: what the proxy passes/m,
    ],
  },
  iptables: {
    'ip6tables -t nat -F HANDFAST_OUTBOUND': [
      /^failed {2}IPv6: what the application sends/m,
      /^ok {6}IPv4: what the application sends/m,
    ],
    'iptables -t nat -F PREROUTING': [/^failed {2}The packet filter/m],
  },
}

for (const backend of BACKENDS)
  test(
    `init --verify proves that capture works, and sees when it does not (${backend})`,
    { skip },
    async (t) => {
      const [host] = (await virtualNetwork(t, 'host')).hosts as readonly [VirtualHost]
      const init = (...flags: readonly string[]): ReturnType<VirtualHost['handfast']> =>
        host.handfast('init', `--backend=${backend}`, ...flags)
      const nothing = init('--verify')
      assert.equal(nothing.code, 1)
      assert.match(nothing.stdout, /^failed {2}The packet filter/m)
      assert.match(nothing.stderr, /CAPTURE_NOT_WORKING: 6 of 11 checks failed/)
      assert.equal(init().code, 0)
      const before = host.run('ip address show')
      const proven = init('--verify')
      assert.equal(proven.code, 0, proven.stdout + proven.stderr)
      assert.equal(proven.stdout.match(/^ok /gm)?.length, 11)
      assert.equal(host.run('ip address show'), before)
      for (const [line, claims] of Object.entries(BREAKAGES[backend])) {
        host.run(line)
        const broken = init('--verify')
        assert.equal(broken.code, 1, line)
        for (const claim of claims) assert.match(broken.stdout, claim, line)
        assert.equal(init().code, 0)
      }
      // The rules leave 1337 alone, and the proxy would be somebody else.
      const other = init('--verify', '--proxy-uid=2000', '--proxy-gid=2000')
      assert.match(other.stdout, /^failed {2}IPv4: what the proxy sends is not/m)
    },
  )

test(
  'init --verify says what it needs when it may not do it, or when the proxy runs already',
  { skip },
  async (t) => {
    const [host] = (await virtualNetwork(t, 'host')).hosts as readonly [VirtualHost]
    assert.equal(host.handfast('init').code, 0)
    const listening = spawn(host.asRoot[0], [...host.asRoot.slice(1), process.execPath, '-e', LISTEN], {
      stdio: 'pipe',
    })
    t.after(() => listening.kill('SIGKILL'))
    await once(listening.stdout, 'data')
    const taken = host.handfast('init', '--verify')
    assert.equal(taken.code, 1)
    assert.match(taken.stderr, /CAPTURE_PROXY_RUNS: .*verify before the proxy starts/)
  },
)

const LISTEN = 'net.createServer().listen(15006, () => console.log("listening"))'

/** Killed at any moment, the tool has done everything or nothing; twelve kills take about a second. */
const KILLS = 12
/** Longer than the tool takes, mostly. */
const LONGEST_MS = 30

for (const backend of BACKENDS)
  test(
    `init leaves the old rules or the new ones wherever its tool is killed (${backend})`,
    { skip },
    async (t) => {
      const [host] = (await virtualNetwork(t, 'host')).hosts as readonly [VirtualHost]
      const variants = [
        ['--outbound-exclude-ports=1000'],
        ['--outbound-exclude-ports=2000', '--inbound-exclude-ports=3000'],
      ]
      const rules = variants.map((flags) => {
        assert.equal(host.handfast('init', `--backend=${backend}`, ...flags).code, 0)
        return rulesOf(host, backend)
      })
      assert.notEqual(rules[0], rules[1])
      for (let kill = 0; kill < KILLS; kill++) {
        const flags = variants[kill % 2]!
        const [file, ...args] = toolRun(host, backend, flags)
        const tool = spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore'] })
        const exited = once(tool, 'exit')
        tool.stdin.on('error', () => {})
        tool.stdin.end(backend === 'iptables' ? rendered(host, flags) : '')
        await delay((LONGEST_MS * kill) / KILLS)
        tool.kill('SIGKILL')
        await exited
        assert.ok(rules.includes(rulesOf(host, backend)), `killed after ${(LONGEST_MS * kill) / KILLS} ms`)
      }
    },
  )

test('init gives iptables-restore nothing that it would carry out in part', { skip }, async (t) => {
  const [host] = (await virtualNetwork(t, 'host')).hosts as readonly [VirtualHost]
  assert.equal(host.handfast('init', '--backend=iptables').code, 0)
  const before = rulesOf(host, 'iptables')
  const whole = rendered(host, ['--outbound-exclude-ports=1000']).split('\n')
  for (let lines = 1; lines <= whole.indexOf('COMMIT'); lines += 4) {
    const tool = spawn(host.asRoot[0], [...host.asRoot.slice(1), 'iptables-restore', '--noflush'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    tool.stdin.end(`${whole.slice(0, lines).join('\n')}\n`)
    await once(tool, 'exit')
    assert.equal(rulesOf(host, 'iptables'), before, `after ${lines} lines`)
  }
})

/** What init runs for IPv4, or for both families. */
function toolRun(
  host: VirtualHost,
  backend: (typeof BACKENDS)[number],
  flags: readonly string[],
): readonly [string, ...string[]] {
  return backend === 'nftables'
    ? [...host.asRoot, 'nft', host.handfast('init', '--dry-run', ...flags).stdout]
    : [...host.asRoot, 'iptables-restore', '--noflush']
}

/** The part of IPv4, for a host whose kernel leads into our chains already. */
function rendered(host: VirtualHost, flags: readonly string[]): string {
  const { stdout } = host.handfast('init', '--dry-run', '--backend=iptables', ...flags)
  return stdout.slice(stdout.indexOf('# iptables-restore')).replaceAll(/^-A (?:PREROUTING|OUTPUT) .*\n/gm, '')
}

function rulesOf(host: VirtualHost, backend: (typeof BACKENDS)[number]): string {
  const text = backend === 'nftables' ? host.run('nft list ruleset') : host.run('iptables-save -t nat')
  return text.replaceAll(/^#.*\n|\[\d+:\d+\]/gm, '')
}
