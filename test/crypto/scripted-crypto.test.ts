import assert from 'node:assert/strict'
import test from 'node:test'

import { PROVIDERS } from './implementations.ts'
import { scriptedCrypto } from './scripted-crypto.ts'

/** The key exchange of RFC 8448 §3. */
const CLIENT = {
  privateKey: '49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005',
  share: '99381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c',
}
const SERVER = {
  privateKey: 'b1580eeadf6dd589b8ef4f2d5652578cc810e9980191ec8d058308cea216a21e',
  share: 'c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f',
}
const SHARED = '8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d'

function x25519Key(privateKey: string): { group: 'x25519'; privateKey: Uint8Array } {
  return { group: 'x25519', privateKey: Uint8Array.fromHex(privateKey) }
}

for (const crypto of PROVIDERS) {
  test(`scriptedCrypto over ${crypto.name} makes the key exchange of RFC 8448 again, as both sides`, () => {
    const client = scriptedCrypto(crypto, { keyAgreements: [x25519Key(CLIENT.privateKey)] })
    const server = scriptedCrypto(crypto, { keyAgreements: [x25519Key(SERVER.privateKey)] })
    const pending = client.beginKeyAgreement('x25519')
    assert.equal(pending.share.toHex(), CLIENT.share)
    const answer = server.answerKeyAgreement('x25519', pending.share)
    assert.equal(answer.share.toHex(), SERVER.share)
    assert.equal(answer.secret.toHex(), SHARED)
    assert.equal(pending.complete(answer.share).toHex(), SHARED)
  })

  test(`scriptedCrypto over ${crypto.name} leaves all else to the provider, and ends with its script`, () => {
    const scripted = scriptedCrypto(crypto, { random: [Uint8Array.of(1, 2, 3)] })
    assert.deepEqual(scripted.random(3), Uint8Array.of(1, 2, 3))
    assert.throws(() => scripted.random(3))
    assert.throws(() => scripted.beginKeyAgreement('x25519'))
    assert.deepEqual(scripted.digest('sha256', new Uint8Array(1)), crypto.digest('sha256', new Uint8Array(1)))
    assert.equal(scripted.name, crypto.name)
  })
}
