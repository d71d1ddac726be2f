import assert from 'node:assert/strict'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cli } from '../cmd/cli.ts'
import { lines, type Line } from '../cmd/mesh.ts'
import { noVirtualNetwork, type VirtualHost } from '../support/virtual-network.ts'
import { capturedMesh, idOf, type CapturedMesh } from './captured-mesh.ts'

const skip = noVirtualNetwork('dumpcap', 'iptables-save', 'ip6tables-save') ?? false

/** Where applications answer: captured, excluded, and the last port there is. */
const PORT = 8080
const EXCLUDED_PORT = 9100
const LAST_PORT = 65_535
/** Where a server speaks first, and where somebody else is expected than is there. */
const GREETING_PORT = 2525
const WRONG_PORT = 8081

/** An address of the stranger that is not captured, and one that the mesh takes for the catalog's. */
const EXCLUDED = { ipv4: '10.88.1.4', ipv6: 'fd88:0:0:1::4' } as const
const PRETENDER = { ipv4: '10.88.2.4', ipv6: 'fd88:0:0:2::4' } as const
/** A service, which no host has as its address, whose only workload is web itself. */
const OWN_SERVICE = { ipv4: '10.99.0.2', ipv6: 'fd99::2' } as const

const FAMILIES = ['ipv4', 'ipv6'] as const
/** Each way to write rules, with another way to carry traffic. */
const STORIES = {
  nftables: { transport: 'epoll' },
  iptables: { transport: 'node', threads: '2' },
} as const
type Backend = keyof typeof STORIES
const PASS_THROUGH = { ipv4: '127.0.0.6', ipv6: '::6' } as const

const WEB_INIT = [
  `--outbound-exclude-ports=${EXCLUDED_PORT}`,
  `--outbound-exclude-cidrs=10.88.1.0/24,fd88:0:0:1::/64`,
]
const CATALOG_INIT = [`--inbound-exclude-ports=${EXCLUDED_PORT}`]

function webCapture({ web, catalog }: CapturedMesh): string {
  const peers = [
    ...FAMILIES.map((family) => `{ to: "${catalog.host[family]}", peer: "${idOf('catalog')}" }`),
    ...FAMILIES.map(
      (family) => `{ to: "${catalog.host[family]}", ports: [${WRONG_PORT}], peer: "${idOf('other')}" }`,
    ),
    ...FAMILIES.map((family) => `{ to: "${PRETENDER[family]}", peer: "${idOf('catalog')}" }`),
    ...FAMILIES.map(
      (family) =>
        `{ to: "${OWN_SERVICE[family]}", ports: [80], peer: "${idOf('web')}", connect: "${at(web.host[family], PORT)}" }`,
    ),
  ]
  return `{ peers: [${peers.join(', ')}] }`
}

for (const backend of Object.keys(STORIES) as Backend[])
  test(`proxy, init: a captured workload is in the mesh without knowing it (${backend})`, { skip }, (t) =>
    story(t, backend),
  )

async function story(t: TestContext, backend: Backend): Promise<void> {
  const mesh = await capturedMesh(t)
  const { web, catalog, stranger } = mesh
  const init = (host: VirtualHost, ...flags: readonly string[]): void => {
    const { code, stderr } = host.handfast('init', `--backend=${backend}`, ...flags)
    assert.equal(code, 0, stderr)
  }
  await Promise.all(
    [web, catalog, stranger].flatMap(({ app }) => [app.serve(PORT), app.serve(EXCLUDED_PORT)]),
  )
  await Promise.all([catalog.app.serve(LAST_PORT), catalog.app.serve(WRONG_PORT)])
  await stranger.app.serve(GREETING_PORT, '220 hello\r\n')
  for (const { ipv4, ipv6 } of [EXCLUDED, PRETENDER]) {
    stranger.host.run(`ip address add ${ipv4}/16 dev eth0`)
    stranger.host.run(`ip address add ${ipv6}/128 dev eth0 nodad`)
  }
  init(web.host, ...WEB_INIT)
  init(catalog.host, ...CATALOG_INIT)
  let webProxy = await web.startProxy(webCapture(mesh), STORIES[backend])
  const catalogProxy = await catalog.startProxy('{}', STORIES[backend])

  await t.test('init: applying the same rules twice changes nothing', () => {
    const before = rulesOf(web.host)
    init(web.host, ...WEB_INIT)
    assert.equal(rulesOf(web.host), before)
  })

  for (const family of FAMILIES) {
    const { [family]: catalogAddress } = catalog.host
    const source = PASS_THROUGH[family]

    await t.test(
      `proxy: captured to captured is mutual TLS, and nothing of it is readable (${family})`,
      async () => {
        const recording = await mesh.network.record(join(mesh.directory, `${family}.pcapng`))
        const pass = async (text: string): Promise<void> => {
          const told = await web.app.talk(stranger.host[family], PORT, text)
          assert.deepEqual(told, { text: `${web.host[family]} said ${text}` })
        }
        // What is passed through can be read on the wire: when it is, whatever went before has been recorded, too.
        await recording.sees(pass)
        const secret = `secret-in-the-mesh-${family}`
        assert.deepEqual(await web.app.talk(catalogAddress, PORT, secret), {
          text: `${source} said ${secret}`,
        })
        await recording.sees(pass)
        assert.ok(!(await recording.stop()).includes(secret))
        const [out] = await accessed(webProxy, { destination: at(catalogAddress, PORT) })
        assert.equal(out!['peer'], idOf('catalog'))
        const [arrived] = await accessed(catalogProxy, { direction: 'inbound', port: PORT })
        assert.deepEqual([arrived!['peer'], arrived!['verdict']], [idOf('web'), 'permit'])
        const [untouched] = await accessed(webProxy, { destination: at(stranger.host[family], PORT) })
        assert.deepEqual([untouched!['peer'], untouched!['passedThrough']], [undefined, true])
      },
    )

    await t.test(`proxy: the last port there is is captured, too (${family})`, async () => {
      const told = await web.app.talk(catalogAddress, LAST_PORT, 'hello')
      assert.deepEqual(told, { text: `${source} said hello` })
    })

    await t.test(`init: excluded ports and networks go past the proxy (${family})`, async () => {
      const byPort = await web.app.talk(catalogAddress, EXCLUDED_PORT, 'by port')
      assert.deepEqual(byPort, { text: `${web.host[family]} said by port` })
      const byNetwork = await web.app.talk(EXCLUDED[family], PORT, 'by network')
      assert.deepEqual(byNetwork, { text: `${web.host[family]} said by network` })
      const captured = new Set(lines(webProxy, 'access').map((entry) => entry['destination']))
      assert.ok(!captured.has(at(catalogAddress, EXCLUDED_PORT)))
      assert.ok(!captured.has(at(EXCLUDED[family], PORT)))
    })

    await t.test(
      `proxy: an application that calls its own service is looped through inbound (${family})`,
      async () => {
        const told = await web.app.talk(OWN_SERVICE[family], 80, 'myself')
        assert.deepEqual(told, { text: `${source} said myself` })
        const [arrived] = await accessed(webProxy, { direction: 'inbound', self: idOf('web') })
        assert.equal(arrived!['peer'], idOf('web'))
      },
    )

    await t.test(`init: what stays within the host is not captured (${family})`, async () => {
      for (const own of [web.host[family], family === 'ipv4' ? '127.0.0.1' : '::1'])
        assert.deepEqual(await web.app.talk(own, PORT, 'self'), { text: `${own} said self` })
    })

    await t.test(`proxy: a destination of the mesh is never spoken to in plaintext (${family})`, async () => {
      const told = await web.app.talk(PRETENDER[family], GREETING_PORT, 'secret')
      assert.equal(told.error, 'ECONNRESET')
      const [out] = await accessed(webProxy, { destination: at(PRETENDER[family], GREETING_PORT) })
      assert.equal((out!['error'] as Line)['code'], 'TLS_NOT_TLS')
    })

    await t.test(
      `proxy: another workload of the mesh than the one that is listed is refused (${family})`,
      async () => {
        const told = await web.app.talk(catalogAddress, WRONG_PORT, 'secret')
        assert.equal(told.error, 'ECONNRESET')
        const [out] = await accessed(webProxy, { destination: at(catalogAddress, WRONG_PORT) })
        assert.equal((out!['error'] as Line)['code'], 'TLS_CERTIFICATE_REJECTED')
      },
    )

    await t.test(
      `proxy: a client without a sidecar that speaks plaintext is refused (${family})`,
      async () => {
        const told = await stranger.app.talk(catalogAddress, PORT, 'GET / HTTP/1.0\r\n\r\n')
        // At most an alert.
        assert.doesNotMatch(told.text ?? '', / said /)
        await refusedWith(catalogProxy, 'TLS_NOT_TLS', 'Handshake failed')
      },
    )

    await t.test(
      `proxy: connections made straight to its ports are refused, and named (${family})`,
      async () => {
        for (const port of [15_001, 15_006]) {
          const fromOutside = await stranger.app.talk(catalogAddress, port, 'hello')
          assert.equal(fromOutside.error, 'ECONNRESET', `${port}`)
          for (const host of [catalogAddress, family === 'ipv4' ? '127.0.0.1' : '::1']) {
            const fromInside = await catalog.app.talk(host, port, 'hello')
            assert.equal(fromInside.error, 'ECONNRESET', `${host} ${port}`)
          }
        }
        await refusedWith(catalogProxy, 'PROXY_NOT_CAPTURED', 'Refused a connection')
        // From outside port 15001 is captured like any other.
        await refusedWith(catalogProxy, 'PROXY_BAD_DESTINATION', 'Refused a connection')
      },
    )

    await t.test(`proxy: the application may go and come back (${family})`, async () => {
      await catalog.app.close(PORT)
      const away = await web.app.talk(catalogAddress, PORT, 'hello')
      assert.ok(away.error !== undefined, JSON.stringify(away))
      await catalog.app.serve(PORT)
      assert.deepEqual(await web.app.talk(catalogAddress, PORT, 'again'), { text: `${source} said again` })
    })
  }

  await t.test(
    'proxy: while it is away nothing passes in plaintext, and when it is back everything does',
    async () => {
      webProxy.child.kill('SIGTERM')
      await webProxy.ended()
      for (const family of FAMILIES)
        assert.equal((await web.app.talk(catalog.host[family], PORT, 'hello')).error, 'ECONNREFUSED')
      webProxy = await web.startProxy(webCapture(mesh), STORIES[backend])
      for (const family of FAMILIES) {
        const told = await web.app.talk(catalog.host[family], PORT, 'hello')
        assert.deepEqual(told, { text: `${PASS_THROUGH[family]} said hello` })
      }
    },
  )

  await t.test('proxy: with REGISTRY_ONLY it refuses destinations that it does not know', async () => {
    webProxy.child.kill('SIGTERM')
    await webProxy.ended()
    const external = `[{ to: "${stranger.host.ipv4}", ports: [${PORT}] }]`
    webProxy = await web.startProxy(`{ outboundPolicy: REGISTRY_ONLY, external: ${external} }`)
    const known = await web.app.talk(stranger.host.ipv4, PORT, 'hello')
    assert.deepEqual(known, { text: `${web.host.ipv4} said hello` })
    for (const host of [stranger.host.ipv6, catalog.host.ipv4])
      assert.equal((await web.app.talk(host, PORT, 'hello')).error, 'ECONNRESET')
    await refusedWith(webProxy, 'PROXY_DESTINATION_REFUSED', 'Refused a connection')
  })

  await t.test(
    'proxy: whose own connections are captured it says so, and does not go round in circles',
    async () => {
      init(web.host, '--proxy-uid=2000', '--proxy-gid=2000')
      const told = await web.app.talk(stranger.host.ipv4, PORT, 'hello')
      assert.ok(told.error !== undefined, JSON.stringify(told))
      while (!/of the proxy's own/.test(webProxy.stdout)) await delay(20)
      // The one that was asked for, and those that it had begotten before it came back.
      assert.ok(lines(webProxy, 'access').filter(({ passedThrough }) => passedThrough === true).length < 20)
    },
  )

  await t.test('init --remove: traffic goes straight, and nothing is left behind', async () => {
    init(web.host, '--remove')
    init(catalog.host, '--remove')
    assert.doesNotMatch(rulesOf(web.host), /handfast|15001|15006/i)
    assert.doesNotMatch(web.host.run('ip -6 address show dev lo'), /::6\//)
    for (const family of FAMILIES) {
      const told = await web.app.talk(catalog.host[family], PORT, 'hello')
      assert.deepEqual(told, { text: `${web.host[family]} said hello` })
    }
    init(web.host, '--remove')
  })
}

function at(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function rulesOf(host: VirtualHost): string {
  const saved = ['iptables-save', 'ip6tables-save'].map((tool) => host.run(tool).replaceAll(/^#.*\n/gm, ''))
  // iptables counts what its rules have met.
  return [host.run('nft list ruleset'), ...saved]
    .join('\n')
    .replaceAll(/\bpackets \d+ bytes \d+|\[\d+:\d+\]/g, '')
}

/** The lines of the access log that say so; waits for the first. */
async function accessed(proxy: Cli, wanted: Line): Promise<Line[]> {
  for (;;) {
    const found = lines(proxy, 'access').filter((entry) =>
      Object.entries(wanted).every(([field, value]) => entry[field] === value),
    )
    if (found.length > 0) return found
    await delay(20)
  }
}

/** Waits until the proxy has said that it refused something for this reason. */
async function refusedWith(proxy: Cli, code: string, message: string): Promise<void> {
  while (!lines(proxy, message).some((entry) => (entry['error'] as Line | undefined)?.['code'] === code))
    await delay(20)
}
