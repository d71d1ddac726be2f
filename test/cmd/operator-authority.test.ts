import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RotationReport } from '../../src/ca/rotator.ts'
import { readOperatorAuthority } from '../../src/cmd/controller/operator-authority-files.ts'
import type { AuthorityFiles } from '../../src/config/controller-config.ts'
import { ConfigError } from '../../src/config/errors.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { readTrustBundlePem } from '../../src/identity/trust-bundle.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Cli, runCli } from './cli.ts'

const DOMAIN = 'example.org'
const HOUR_MS = 3_600_000
const crypto = nativeCrypto()

/** A directory in which openssl makes authorities, as an operator would. */
class Desk {
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.directory, stdio: 'pipe' })
  }

  /** A self-signed certificate `<name>.pem` with the key `<name>.key`. */
  root(name: string, { extensions = [], days = '3650', key = 'ec' }: RootOptions = {}): void {
    const kind = key === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : [`rsa:${key}`]
    const basic = extensions.some((text) => text.startsWith('basicConstraints'))
      ? []
      : ['basicConstraints=critical,CA:TRUE']
    const added = [...basic, 'keyUsage=critical,keyCertSign,cRLSign', ...extensions]
    const request = ['req', '-x509', '-newkey', ...kind, '-nodes', '-subj', `/CN=${name}`, '-days', days]
    const output = ['-keyout', `${name}.key`, '-out', `${name}.pem`]
    this.openssl(...request, ...output, ...added.flatMap((text) => ['-addext', text]))
  }

  /** An intermediate `<name>.pem` of a root, followed by it, with the key `<name>.key`. */
  async intermediate(name: string, root: string): Promise<void> {
    await writeFile(
      this.path('extensions'),
      'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n',
    )
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`]
    this.openssl('req', ...key, '-subj', `/CN=${name}`, '-out', 'request')
    const issuer = ['-CA', `${root}.pem`, '-CAkey', `${root}.key`, '-extfile', 'extensions']
    this.openssl('x509', '-req', '-in', 'request', ...issuer, '-days', '365', '-out', `${name}.pem`)
    const texts = await Promise.all(
      [`${name}.pem`, `${root}.pem`].map((file) => readFile(this.path(file), 'utf8')),
    )
    await writeFile(this.path(`${name}.pem`), texts.join(''))
  }

  pair(name: string, key = name): AuthorityFiles {
    return { kind: 'pem', certificateFile: this.path(`${name}.pem`), keyFile: this.path(`${key}.key`) }
  }
}

interface RootOptions {
  readonly extensions?: readonly string[]
  readonly days?: string
  /** `ec`, or the bits of an RSA key. */
  readonly key?: string
}

async function deskOf(t: TestContext): Promise<Desk> {
  const desk = new Desk(await temporaryDirectory(t))
  await writeFile(desk.path('passphrase'), 'open sesame\n', { mode: 0o600 })
  return desk
}

function configured(authority: AuthorityFiles): Parameters<typeof readOperatorAuthority>[0] {
  return { trustDomain: DOMAIN, maxSvidTtlMs: HOUR_MS, authority }
}

function read(files: AuthorityFiles): ReturnType<typeof readOperatorAuthority> {
  return readOperatorAuthority(configured(files), { crypto, nowMs: Date.now() })
}

async function refusal(files: AuthorityFiles): Promise<string> {
  const error: unknown = await read(files).catch((thrown: unknown) => thrown)
  assert.ok(error instanceof ConfigError, String(error))
  return `${error.code} ${error.message}`
}

test('readOperatorAuthority takes roots and intermediates, of PEM and PKCS#12, with keys in the clear and encrypted', async (t) => {
  const desk = await deskOf(t)
  const passphraseFile = desk.path('passphrase')
  desk.root('plain')
  desk.root('rsa', { key: '2048' })
  await desk.intermediate('below', 'plain')
  for (const [name, links] of [
    ['plain', 0],
    ['rsa', 0],
    ['below', 1],
  ] as const) {
    const authority = await read(desk.pair(name))
    assert.equal(authority?.chain.length, links, name)

    const encrypt = ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', 'file:passphrase']
    desk.openssl(...encrypt, '-in', `${name}.key`, '-out', `${name}-locked.key`)
    const locked = await read({ ...desk.pair(name, `${name}-locked`), passphraseFile })
    assert.deepEqual(locked?.certificate.der, authority?.certificate.der)

    const pack = ['pkcs12', '-export', '-passout', 'file:passphrase', '-out', `${name}.p12`]
    desk.openssl(...pack, '-inkey', `${name}.key`, '-in', `${name}.pem`)
    await chmod(desk.path(`${name}.p12`), 0o600)
    const packed = await read({ kind: 'pkcs12', pkcs12File: desk.path(`${name}.p12`), passphraseFile })
    assert.deepEqual(packed?.certificate.der, authority?.certificate.der)
    assert.equal(packed?.chain.length, links)
  }
})

test('readOperatorAuthority says what is wrong with an authority, with file and field', async (t) => {
  const desk = await deskOf(t)
  desk.root('good')
  desk.root('other')
  desk.root('leaf', { extensions: ['basicConstraints=critical,CA:FALSE'] })
  desk.root('short', { extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0'] })
  desk.root('foreign', { extensions: ['subjectAltName=URI:spiffe://other.example'] })
  desk.root('weak', { key: '1024' })
  await desk.intermediate('below', 'good')
  const [only] = (await readFile(desk.path('below.pem'), 'utf8')).split(/(?<=-----END CERTIFICATE-----\n)/)
  await writeFile(desk.path('alone.pem'), only!)
  desk.root('narrow', { extensions: ['nameConstraints=critical,permitted;URI:other.example'] })
  await desk.intermediate('within', 'narrow')
  for (const [files, problem] of [
    [desk.pair('good', 'other'), /The private key is not the one of the certificate "CN=good"/],
    [desk.pair('leaf'), /"CN=leaf" is no certificate authority/],
    [desk.pair('short'), /allows no intermediate below it \(pathlen 0\)/],
    [desk.pair('foreign'), /is of spiffe:\/\/other\.example, expected spiffe:\/\/example\.org/],
    [desk.pair('weak'), /1024 bits/],
    [desk.pair('alone', 'below'), /the root that it leads to is not with it/],
    [desk.pair('narrow'), /CN=narrow permits only URI/],
    [desk.pair('within'), /CN=narrow permits only URI/],
  ] as const) {
    const message = await refusal(files)
    assert.match(message, problem)
    assert.match(message, /^CONFIG_INVALID .*spec\.authority\./)
  }
  const late = readOperatorAuthority(configured(desk.pair('good')), {
    crypto,
    nowMs: Date.now() + 3_651 * 24 * HOUR_MS,
  })
  await assert.rejects(late, /expired at/)
  const soon = readOperatorAuthority(configured(desk.pair('good')), {
    crypto,
    nowMs: Date.now() + 3_650 * 24 * HOUR_MS - HOUR_MS,
  })
  await assert.rejects(soon, /before it could be replaced in order/)
})

test('readOperatorAuthority refuses secrets that others can read, and passphrases that do not fit', async (t) => {
  const desk = await deskOf(t)
  desk.root('good')
  const passphraseFile = desk.path('passphrase')
  const encrypt = ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', 'file:passphrase']
  desk.openssl(...encrypt, '-in', 'good.key', '-out', 'locked.key')
  desk.openssl(
    'pkcs12',
    '-export',
    '-passout',
    'pass:x',
    '-out',
    'good.p12',
    '-inkey',
    'good.key',
    '-in',
    'good.pem',
  )
  const locked = desk.pair('good', 'locked')
  const packed: AuthorityFiles = { kind: 'pkcs12', pkcs12File: desk.path('good.p12'), passphraseFile }

  assert.match(await refusal(locked), /keyFile.* is encrypted/)
  await writeFile(passphraseFile, 'close sesame')
  assert.match(
    await refusal({ ...locked, passphraseFile }),
    /keyFile.*cannot be decrypted: the passphrase is wrong/,
  )
  assert.match(await refusal(packed), /CONFIG_INVALID .*pkcs12File.*cannot be opened/)
  await chmod(desk.path('good.p12'), 0o644)
  assert.match(await refusal(packed), /CONFIG_INSECURE_PERMISSIONS .*pkcs12File/)
  await chmod(passphraseFile, 0o640)
  assert.match(await refusal(packed), /CONFIG_INSECURE_PERMISSIONS .*passphraseFile/)
  await chmod(desk.path('good.key'), 0o644)
  assert.match(await refusal(desk.pair('good')), /CONFIG_INSECURE_PERMISSIONS .*keyFile/)
  await writeFile(desk.path('good.p12'), 'nonsense')
  await chmod(desk.path('good.p12'), 0o600)
  await chmod(passphraseFile, 0o600)
  assert.match(await refusal(packed), /pkcs12File.*cannot be opened/)
})

test('handfast controller signs with the authority of its operator, and rotates to the next when its files change', async (t) => {
  const desk = await deskOf(t)
  desk.root('first')
  desk.root('second')
  await desk.intermediate('below', 'second')
  const install = async (name: string): Promise<void> => {
    await copyFile(desk.path(`${name}.key`), desk.path('ca.key'))
    await copyFile(desk.path(`${name}.pem`), desk.path('ca.pem'))
  }
  await install('first')
  const config = desk.path('controller.yaml')
  await writeFile(
    config,
    `apiVersion: handfast.dev/v1alpha1
kind: ControllerConfig
spec:
  trustDomain: ${DOMAIN}
  stateDir: ${desk.path('state')}
  listen: 127.0.0.1:0
  authority: { certificateFile: ${desk.path('ca.pem')}, keyFile: ${desk.path('ca.key')} }
`,
  )
  const controller = new Cli(t, ['controller', '--config', config])
  await controller.saw(/"message":"ready"/, 'stdout')
  const rotate = async (action: string): Promise<RotationReport> => {
    const { code, stdout, stderr } = await runCli(t, ['ca', 'rotate', action, '--config', config, '--json'])
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as RotationReport
  }
  assert.match((await rotate('status')).current.root.subject, /first/)

  await copyFile(desk.path('second.key'), desk.path('ca.key'))
  await controller.saw(/not taken; the one in force stays/, 'stdout')
  await install('below')
  let report = await rotate('status')
  for (; report.stage !== 'distributed'; report = await rotate('status')) await sleep(200)
  assert.match(report.next!.root.subject, /second/)
  assert.match(report.next!.intermediate.subject, /below/)
  assert.equal(report.next!.bridged, true)
  const bundle = await readFile(desk.path('state/trust-bundle.pem'), 'utf8')
  assert.equal(readTrustBundlePem(DOMAIN, bundle).anchors.length, 2)
  assert.equal((await rotate('activate')).next?.signs, true)
  controller.child.kill('SIGKILL')
  await controller.ended()

  // What is in use does not depend on files that are being exchanged.
  await writeFile(desk.path('ca.pem'), 'half a certifi')
  const again = new Cli(t, ['controller', '--config', config])
  await again.saw(/"message":"ready"/, 'stdout')
  const resumed = await rotate('status')
  assert.deepEqual([resumed.stage, resumed.next?.signs], ['active', true])
  again.child.kill('SIGTERM')
  assert.equal((await again.ended()).code, 0)
})
