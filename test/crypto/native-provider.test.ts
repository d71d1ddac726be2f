import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'

import { createNativeCrypto, nativeCrypto } from '../../src/crypto/native-provider.ts'
import { portableCrypto } from '../../src/crypto/portable-provider.ts'

test('createNativeCrypto works without EVP, and says so once', () => {
  const reasons: string[] = []
  let probes = 0
  const crypto = createNativeCrypto({
    onFallback: (reason) => reasons.push(reason),
    probe: () => {
      probes++
      return { kind: 'missing', reason: 'Cannot find function EVP_CIPHER_fetch' }
    },
  })
  for (let record = 0; record < 3; record++) {
    using sealer = crypto.sealer('aes-128-gcm', new Uint8Array(16))
    using opener = portableCrypto().opener('aes-128-gcm', new Uint8Array(16))
    const sealed = new Uint8Array(21)
    sealer.seal(new Uint8Array(12), new Uint8Array(1), Uint8Array.of(1, 2, 3, 4, 5), sealed)
    const opened = new Uint8Array(5)
    assert.equal(opener.open(new Uint8Array(12), new Uint8Array(1), sealed, opened), 5)
    assert.deepEqual(opened, Uint8Array.of(1, 2, 3, 4, 5))
  }
  assert.deepEqual(reasons, ['Cannot find function EVP_CIPHER_fetch'])
  assert.equal(probes, 1)
})

test('nativeCrypto gives one provider to all, and reports no fallback where there is EVP', () => {
  const onFallback = () => assert.fail('There is EVP in this Node')
  assert.equal(nativeCrypto({ onFallback }), nativeCrypto())
})

test('nativeCrypto tells the first who listens, and only that one, when native code cannot be loaded', () => {
  const module = pathToFileURL(join(import.meta.dirname, '../../src/crypto/native-provider.ts')).href
  const program = `
    import { nativeCrypto } from ${JSON.stringify(module)}
    const told = []
    nativeCrypto()
    for (const who of ['first', 'second']) nativeCrypto({ onFallback: (reason) => told.push([who, typeof reason]) })
    using sealer = nativeCrypto().sealer('aes-128-gcm', new Uint8Array(16))
    const output = new Uint8Array(16)
    sealer.seal(new Uint8Array(12), new Uint8Array(0), new Uint8Array(0), output)
    console.log(JSON.stringify([told, output.toHex()]))`
  const flags = ['--no-addons', '--input-type=module', '--eval', program]
  const { stdout, stderr } = spawnSync(process.execPath, flags, { encoding: 'utf8' })
  assert.equal(stderr, '')
  // The tag of the GCM specification's test case 1.
  assert.deepEqual(JSON.parse(stdout), [[['first', 'string']], '58e2fccefa7e3061367f1d57a4e7455a'])
})

test('CryptoProvider can be wrapped by spreading it', () => {
  const fixed = new Uint8Array(32).fill(7)
  const wrapped = { ...nativeCrypto(), random: () => Uint8Array.from(fixed) }
  assert.deepEqual(wrapped.random(), fixed)
  const ours = wrapped.beginKeyAgreement('x25519')
  const theirs = wrapped.answerKeyAgreement('x25519', ours.share)
  assert.deepEqual(ours.complete(theirs.share), theirs.secret)
})
