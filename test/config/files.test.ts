import assert from 'node:assert/strict'
import test from 'node:test'
import { controllerConfigSchema } from '../../src/config/controller-config.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { parseYaml } from '../../src/config/parse.ts'
import { proxyConfigSchema } from '../../src/config/proxy-config.ts'

const PROXY_HEAD = 'apiVersion: handfast.dev/v1alpha1\nkind: ProxyConfig\n'
const CONTROLLER_HEAD = 'apiVersion: handfast.dev/v1alpha1\nkind: ControllerConfig\n'
const CONTROLLER = '{ address: "c:15012", trustBundleFile: root.pem, joinTokenFile: token }'
const INBOUND = '[{ name: in, listen: "0.0.0.0:15006", forward: "127.0.0.1:8080" }]'

function proxyProblems(spec: readonly string[]): string[] {
  return problems(() =>
    parseYaml(`${PROXY_HEAD}spec:\n  ${spec.join('\n  ')}`, { file: 'p.yaml', schema: proxyConfigSchema }),
  )
}

function controllerProblems(spec: string): string[] {
  return problems(() =>
    parseYaml(`${CONTROLLER_HEAD}spec: ${spec}`, { file: 'c.yaml', schema: controllerConfigSchema }),
  )
}

function problems(read: () => unknown): string[] {
  try {
    read()
    return []
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError)
    assert.equal(thrown.code, 'CONFIG_INVALID')
    return thrown.message.split('\n')
  }
}

test('proxyConfigSchema fills in every default', () => {
  const text = `${PROXY_HEAD}spec: { trustDomain: td, controller: ${CONTROLLER}, inbound: ${INBOUND} }`
  assert.deepEqual(parseYaml(text, { file: 'p.yaml', schema: proxyConfigSchema }), {
    trustDomain: 'td',
    controller: {
      addresses: [{ host: 'c', port: 15_012 }],
      trustBundleFile: 'root.pem',
      joinTokenFile: 'token',
      spiffeId: 'spiffe://td/ns/handfast-system/sa/controller',
    },
    admin: { listen: { host: '127.0.0.1', port: 15_000 } },
    outbound: [],
    inbound: [
      {
        name: 'in',
        listen: { host: '0.0.0.0', port: 15_006 },
        forward: { host: '127.0.0.1', port: 8_080 },
        protocol: 'tcp',
      },
    ],
    handshakeTimeoutMs: 10_000,
    drainTimeoutMs: 10_000,
    transport: 'auto',
    tlsEngine: 'handfast',
    resumption: true,
    threads: 1,
    limits: { connections: 16_384, handshakes: 1_024 },
    log: { level: 'info' },
  })
})

test('proxyConfigSchema takes the trust domain from the controller where it is not given', () => {
  const controller = CONTROLLER.replace(' }', ', spiffeId: "spiffe://td/c" }')
  const text = `${PROXY_HEAD}spec: { controller: ${controller}, inbound: ${INBOUND} }`
  const config = parseYaml(text, { file: 'p.yaml', schema: proxyConfigSchema })
  assert.equal(config.trustDomain, 'td')
  assert.equal(config.controller.spiffeId, 'spiffe://td/c')
  assert.deepEqual(proxyProblems([`controller: ${CONTROLLER}`, `inbound: ${INBOUND}`]), [
    'p.yaml:3:1 spec.trustDomain: expected a trust domain, here or in spec.controller.spiffeId, got nothing',
  ])
  assert.deepEqual(
    proxyProblems(['trustDomain: other', `controller: ${controller}`, `inbound: ${INBOUND}`]),
    [
      'p.yaml:5:96 spec.controller.spiffeId: expected a SPIFFE ID of the trust domain other, got "spiffe://td/c"',
    ],
  )
})

test('proxyConfigSchema refuses plaintext listeners and targets outside loopback', () => {
  assert.deepEqual(
    proxyProblems([
      'trustDomain: td',
      `controller: ${CONTROLLER}`,
      'admin: { listen: "0.0.0.0:15000" }',
      'outbound:',
      '  - { name: a, listen: "0.0.0.0:1", connect: "h:1", peer: "spiffe://td/a" }',
      '  - { name: b, listen: "[::]:1", connect: "h:1", peer: "spiffe://td/a" }',
      '  - { name: c, listen: "localhost:1", connect: "h:1", peer: "spiffe://td/a" }',
      'inbound:',
      '  - { name: d, listen: "shop:1", forward: "10.0.0.1:1" }',
    ]),
    [
      'p.yaml:6:20 spec.admin.listen: expected a loopback ip:port such as 127.0.0.1:15001, because this listener knows no peer identity, got "0.0.0.0:15000"',
      'p.yaml:8:26 spec.outbound[0].listen: expected a loopback ip:port such as 127.0.0.1:15001, because this listener knows no peer identity, got "0.0.0.0:1"',
      'p.yaml:9:26 spec.outbound[1].listen: expected a loopback ip:port such as 127.0.0.1:15001, because this listener knows no peer identity, got "[::]:1"',
      'p.yaml:10:26 spec.outbound[2].listen: expected a loopback ip:port such as 127.0.0.1:15001, because this listener knows no peer identity, got "localhost:1"',
      'p.yaml:12:26 spec.inbound[0].listen: expected ip:port such as 0.0.0.0:15006 or [::]:15006, got "shop:1"',
      'p.yaml:12:45 spec.inbound[0].forward: expected a loopback host:port such as 127.0.0.1:8080, got "10.0.0.1:1"',
    ],
  )
})

test('proxyConfigSchema refuses listeners that share a name or an address, and a proxy without any', () => {
  const base = ['trustDomain: td', `controller: ${CONTROLLER}`]
  assert.deepEqual(
    proxyProblems([
      ...base,
      'outbound:',
      '  - { name: a, listen: "127.0.0.1:15000", connect: "h:1", peer: "spiffe://td/a" }',
      '  - { name: b, listen: "[::1]:1", connect: "h:1", peer: "spiffe://td/a" }',
      '  - { name: c, listen: "127.0.0.1:0", connect: "h:1", peer: "spiffe://td/a" }',
      'inbound:',
      '  - { name: a, listen: "[0:0::1]:1", forward: "127.0.0.1:1" }',
      '  - { name: e, listen: "127.0.0.1:0", forward: "127.0.0.1:1" }',
    ]),
    [
      'p.yaml:7:26 spec.outbound[0].listen: expected an address of its own, got 127.0.0.1:15000, which is taken',
      'p.yaml:11:15 spec.inbound[0].name: expected a name of its own, got a, which is taken',
      'p.yaml:11:26 spec.inbound[0].listen: expected an address of its own, got [::1]:1, which is taken',
    ],
  )
  assert.deepEqual(proxyProblems(base), [
    'p.yaml:3:1 spec.outbound: expected at least one listener in outbound or inbound, or capture, got nothing',
  ])
})

test('proxyConfigSchema reads capture with its defaults, which need no other listener', () => {
  const peers =
    '[{ to: 10.0.0.0/8, ports: [80], peer: "spiffe://td/a" }, { to: "fd00::7", peer: "spiffe://td/b" }]'
  const text = `${PROXY_HEAD}spec: { trustDomain: td, controller: ${CONTROLLER}, capture: { peers: ${peers} } }`
  assert.deepEqual(parseYaml(text, { file: 'p.yaml', schema: proxyConfigSchema }).capture, {
    outbound: { listen: { host: '::', port: 15_001 } },
    inbound: { listen: { host: '::', port: 15_006 } },
    outboundPolicy: 'ALLOW_ANY',
    peers: [
      { to: { family: 'ipv4', host: '10.0.0.0', prefix: 8 }, ports: [80], peer: 'spiffe://td/a' },
      { to: { family: 'ipv6', host: 'fd00::7', prefix: 128 }, peer: 'spiffe://td/b' },
    ],
    external: [],
  })
})

test('proxyConfigSchema refuses capture that leaves open who is meant, and takes no name that capture has', () => {
  const problemsOf = (...capture: readonly string[]): string[] =>
    proxyProblems([
      'trustDomain: td',
      `controller: ${CONTROLLER}`,
      'inbound: [{ name: captured-inbound, listen: "[::]:15006", forward: "127.0.0.1:1" }]',
      ...capture,
    ]).map((problem) => problem.replace(/^.* spec\.capture\./, ''))
  assert.deepEqual(problemsOf('capture: { peers: [{ to: 10.0.0.1/8, peer: "spiffe://td/a" }] }'), [
    'peers[0].to: expected an IP address or a CIDR without host bits such as 10.0.0.0/8, got "10.0.0.1/8"',
  ])
  const rivals = [
    '{ to: 10.0.0.0/8, ports: [80, 81], peer: "spiffe://td/a" }',
    '{ to: 10.0.0.0/8, peer: "spiffe://td/b" }',
    '{ to: 10.0.0.0/8, ports: [81], peer: "spiffe://td/c" }',
  ]
  assert.deepEqual(problemsOf('capture:', '  peers:', ...rivals.map((entry) => `    - ${entry}`)), [
    'inbound.name: expected a name of its own, got captured-inbound, which is taken',
    'inbound.listen: expected an address of its own, got [::]:15006, which is taken',
    'peers[2].to: expected destinations that no other entry names as exactly, got 10.0.0.0/8, which is taken',
  ])
})

test('proxyConfigSchema refuses another kind of file, and durations out of bounds', () => {
  assert.deepEqual(
    problems(() =>
      parseYaml(`${CONTROLLER_HEAD}spec: { stateDir: x }`, { file: 'p.yaml', schema: proxyConfigSchema }),
    ).slice(0, 1),
    ['p.yaml:2:7 kind: expected "ProxyConfig", got "ControllerConfig"'],
  )
  assert.deepEqual(
    proxyProblems([
      'trustDomain: td',
      `controller: ${CONTROLLER}`,
      `inbound: ${INBOUND}`,
      'handshakeTimeout: 0s',
      'drainTimeout: 10',
    ]),
    [
      'p.yaml:7:21 spec.handshakeTimeout: expected a duration from 100ms to 5m such as 30s, got "0s"',
      'p.yaml:8:17 spec.drainTimeout: expected a duration from 0s to 1h such as 30s, got the number 10',
    ],
  )
})

test('controllerConfigSchema fills in every default', () => {
  const text = `${CONTROLLER_HEAD}spec: { trustDomain: td, stateDir: state }`
  assert.deepEqual(parseYaml(text, { file: 'c.yaml', schema: controllerConfigSchema }), {
    trustDomain: 'td',
    listen: { host: '127.0.0.1', port: 15_012 },
    stateDir: 'state',
    replica: 'main',
    svidTtlMs: 3_600_000,
    maxSvidTtlMs: 3_600_000,
    jwtSvidTtlMs: 300_000,
    caTtlMs: 31_536_000_000,
    attestation: { oidc: [], clockSkewMs: 60_000 },
    federation: { trustDomains: [] },
    limits: {
      certificatesPerIdentity: { atOnce: 1_000, perMinute: 600 },
      requestsPerAddress: { atOnce: 1_000, perMinute: 600 },
    },
    log: { level: 'info' },
  })
})

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

test('controllerConfigSchema reads what proves workloads, with its defaults', () => {
  const oidc =
    '{ issuer: i, audience: a, jwksUrl: "https://i/keys", jwksCaFile: ca.pem, spiffeId: "spiffe://td/{+sub}" }'
  const text = `${CONTROLLER_HEAD}spec: { trustDomain: td, stateDir: s, attestation: { kubernetes: {}, oidc: [${oidc}] } }`
  const { attestation } = parseYaml(text, { file: 'c.yaml', schema: controllerConfigSchema })
  assert.deepEqual(attestation, {
    oidc: [
      {
        issuer: 'i',
        audience: 'a',
        algorithms: ['ES256', 'RS256'],
        keys: { kind: 'url', url: 'https://i/keys', caFile: 'ca.pem' },
        spiffeId: 'spiffe://td/{+sub}',
        claims: {},
      },
    ],
    kubernetes: {
      audience: 'handfast',
      apiServer: 'https://kubernetes.default.svc',
      caFile: `${SERVICE_ACCOUNT}/ca.crt`,
      tokenFile: `${SERVICE_ACCOUNT}/token`,
      checkPods: true,
    },
    clockSkewMs: 60_000,
  })
})

test('controllerConfigSchema says precisely what is wrong with attestation', () => {
  const issuer = (fields: string): string =>
    `{ trustDomain: td, stateDir: s, attestation: { oidc: [{ issuer: i, audience: a, ${fields} }] } }`
  const first = (fields: string): string => controllerProblems(issuer(fields))[0]!.replace(/^\S+ /, '')
  const id = 'spiffeId: "spiffe://td/a"'
  for (const [fields, problem] of [
    [id, 'spec.attestation.oidc[0].jwksFile: expected this or jwksUrl, got neither'],
    [
      `${id}, jwksFile: f, jwksUrl: "https://i"`,
      'spec.attestation.oidc[0].jwksFile: expected this or jwksUrl, got both',
    ],
    [`${id}, jwksUrl: "http://i"`, 'spec.attestation.oidc[0].jwksUrl: expected an https URL, got "http://i"'],
    [
      `${id}, jwksFile: f, jwksCaFile: c`,
      'spec.attestation.oidc[0].jwksCaFile: expected nothing, because no jwksUrl is fetched, got "c"',
    ],
    [
      'spiffeId: "spiffe://other/{sub}", jwksFile: f',
      'spec.attestation.oidc[0].spiffeId: expected a SPIFFE ID of the trust domain td, got "spiffe://other/{sub}"',
    ],
  ] as const)
    assert.equal(first(fields), problem)
  for (const spiffeId of [
    'spiffe://{td}/a',
    'spiffe://td',
    'spiffe://td/{a',
    'spiffe://td/a b',
    'spiffe://td/{}',
  ])
    assert.match(
      first(`spiffeId: "${spiffeId}", jwksFile: f`),
      /spiffeId: expected a SPIFFE ID in whose path/,
    )
  for (const algorithm of ['none', 'HS256', 'RS512'])
    assert.match(first(`${id}, jwksFile: f, algorithms: [${algorithm}]`), /algorithms\[0\]: expected/)
  assert.match(first(`${id}, jwksFile: f, algorithms: []`), /algorithms: expected at least one/)
})

test('proxyConfigSchema wants one proof, and no more', () => {
  const controller = (fields: string): string =>
    `controller: { address: "c:15012", trustBundleFile: root.pem${fields} }`
  const among = 'one of joinTokenFile, oidcTokenFile, serviceAccountTokenFile'
  for (const [fields, problem] of [
    ['', `spec.controller.joinTokenFile: expected ${among}, got none`],
    [
      ', joinTokenFile: a, oidcTokenFile: b',
      `spec.controller.oidcTokenFile: expected ${among}, got joinTokenFile and oidcTokenFile`,
    ],
  ] as const)
    assert.deepEqual(
      proxyProblems(['trustDomain: td', controller(fields), `inbound: ${INBOUND}`]).map((line) =>
        line.replace(/^\S+ /, ''),
      ),
      [problem],
    )
  const text = `${PROXY_HEAD}spec: { trustDomain: td, ${controller(', serviceAccountTokenFile: t')}, inbound: ${INBOUND} }`
  const config = parseYaml(text, { file: 'p.yaml', schema: proxyConfigSchema })
  assert.equal(config.controller.serviceAccountTokenFile, 't')
})

test('proxyConfigSchema takes one address of the controller or several, and not both', () => {
  const problems = (fields: string): string[] =>
    proxyProblems([
      'trustDomain: td',
      `controller: { ${fields}trustBundleFile: root.pem, joinTokenFile: t }`,
      `inbound: ${INBOUND}`,
    ]).map((line) => line.replace(/^\S+ /, ''))
  assert.deepEqual(problems('addresses: ["c:1", "10.0.0.1:2"], '), [])
  const either = 'spec.controller.address: expected either address or addresses, got'
  assert.deepEqual(problems(''), [`${either} none`])
  assert.deepEqual(problems('address: "c:1", addresses: ["c:1"], '), [`${either} both`])
  assert.match(problems('addresses: [], ')[0]!, /spec.controller.addresses: expected at least one address/)
  assert.match(problems('addresses: [foo], ')[0]!, /spec.controller.addresses\[0\]: expected host:port/)
})

test('controllerConfigSchema refuses lifetimes out of bounds or proportion', () => {
  assert.deepEqual(controllerProblems('{ trustDomain: TD, stateDir: "", svidTtl: 9s, caTtl: 1m }'), [
    'c.yaml:3:22 spec.trustDomain: expected a trust domain of up to 255 lower-case letters, digits, dots, hyphens and underscores, got "TD"',
    'c.yaml:3:36 spec.stateDir: expected the path of a file, got ""',
    'c.yaml:3:49 spec.svidTtl: expected a duration from 10s to 1d such as 30s, got "9s"',
    'c.yaml:3:60 spec.caTtl: expected a duration from 1h to 3650d such as 30s, got "1m"',
  ])
  assert.deepEqual(controllerProblems('{ trustDomain: td, stateDir: s, svidTtl: 1h, caTtl: 119m }'), [
    'c.yaml:3:59 spec.caTtl: expected at least twice spec.svidTtl, which is 1h, got 1h59m',
  ])
  assert.deepEqual(
    controllerProblems('{ trustDomain: td, stateDir: s, svidTtl: 1h, maxSvidTtl: 30m, caTtl: 2h }'),
    ['c.yaml:3:64 spec.maxSvidTtl: expected at least spec.svidTtl, which is 1h, got 30m'],
  )
  assert.deepEqual(
    controllerProblems('{ trustDomain: td, stateDir: s, svidTtl: 1h, maxSvidTtl: 3h, caTtl: 5h }'),
    ['c.yaml:3:75 spec.caTtl: expected at least twice spec.maxSvidTtl, which is 3h, got 5h'],
  )
})

test('controllerConfigSchema takes an authority as a pair of files or as one, and not as both', () => {
  const authority = (text: string): string[] =>
    controllerProblems(`{ trustDomain: td, stateDir: s, authority: ${text} }`)
  assert.deepEqual(authority('{ certificateFile: a, keyFile: b, passphraseFile: c }'), [])
  assert.deepEqual(authority('{ pkcs12File: a }'), [])
  for (const [text, got] of [
    ['{}', 'none of them'],
    ['{ certificateFile: a }', 'certificateFile'],
    ['{ certificateFile: a, keyFile: b, pkcs12File: c }', 'certificateFile, keyFile, pkcs12File'],
  ] as const) {
    const [problem, ...others] = authority(text)
    assert.match(
      problem!,
      new RegExp(`spec\\.authority: expected either certificateFile and keyFile, or pkcs12File, got ${got}`),
    )
    assert.deepEqual(others, [])
  }
})

test('controllerConfigSchema reads where bundles come from, and says precisely what is wrong with federation', () => {
  const spec = (fields: string): string =>
    `{ trustDomain: td, stateDir: s, federation: { trustDomains: [{ trustDomain: other, ${fields} }] } }`
  const read = (fields: string): unknown => {
    const text = `${CONTROLLER_HEAD}spec: ${spec(fields)}`
    const { federation } = parseYaml(text, { file: 'c.yaml', schema: controllerConfigSchema })
    return federation.trustDomains[0]!.source
  }
  assert.deepEqual(read('bundleFile: f'), { kind: 'file', file: 'f' })
  const url = 'https://other/'
  assert.deepEqual(read(`bundleUrl: "${url}", caFile: c`), { kind: 'web', url, caFile: 'c' })
  assert.deepEqual(read(`bundleUrl: "${url}", spiffeId: "spiffe://other/c", bundleFile: f`), {
    kind: 'spiffe',
    url,
    spiffeId: 'spiffe://other/c',
    file: 'f',
  })
  const first = (text: string): string => controllerProblems(text)[0]!.replace(/^\S+ /, '')
  const at = 'spec.federation.trustDomains[0]'
  for (const [fields, problem] of [
    ['', `${at}.bundleFile: expected this or bundleUrl, got neither`],
    [
      'bundleFile: f, caFile: c',
      `${at}.caFile: expected nothing, because no bundleUrl is asked, got a value`,
    ],
    [
      `bundleUrl: "${url}", bundleFile: f`,
      `${at}.bundleFile: expected nothing, unless spiffeId says who the endpoint is, got "f"`,
    ],
    [
      `bundleUrl: "${url}", spiffeId: "spiffe://other/c"`,
      `${at}.bundleFile: expected the bundle to begin with, to know the endpoint by, got nothing`,
    ],
    [
      `bundleUrl: "${url}", spiffeId: "spiffe://other/c", bundleFile: f, caFile: c`,
      `${at}.caFile: expected nothing, because the endpoint is known by its SPIFFE ID, got "c"`,
    ],
  ] as const)
    assert.equal(first(spec(fields)), problem)
  const own =
    '{ trustDomain: td, stateDir: s, federation: { trustDomains: [{ trustDomain: td, bundleFile: f }] } }'
  assert.equal(first(own), `${at}.trustDomain: expected another trust domain than spec.trustDomain, got "td"`)
  const half =
    '{ trustDomain: td, stateDir: s, federation: { bundleEndpoint: { listen: "[::]:1", keyFile: k } } }'
  assert.equal(
    first(half),
    'spec.federation.bundleEndpoint.certificateFile: expected a file, as the other one is given, got nothing',
  )
})
