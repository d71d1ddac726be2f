import assert from 'node:assert/strict'
import test from 'node:test'
import { utf8 } from '../../src/bytes/bytes.ts'
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { TlsConnection } from '../../src/tls/connection.ts'
import { countingAeads } from '../support/counting-crypto.ts'
import { TlsPair, type Role } from '../support/tls-pair.ts'
import { mintWorkloads, NOW_MS, verifierFor } from '../support/tls-workloads.ts'

const workloads = await mintWorkloads()

test('TlsConnection frees every key it made, however it ends', () => {
  const endings: Readonly<Record<string, (pair: TlsPair) => void>> = {
    'both closed': (pair) => {
      for (const { connection } of pair.ends) connection.close()
      pair.pump()
    },
    truncated: (pair) => pair.ends.forEach(({ connection }) => connection.receiveEnd()),
    disposed: (pair) => pair[Symbol.dispose](),
    'keys updated': (pair) => {
      pair.client.connection.updateKeys({ requestPeer: true })
      pair.pump()
      pair[Symbol.dispose]()
    },
    failed: (pair) => pair.ends.forEach(({ connection }) => connection.receive(utf8('not a record'))),
  }
  for (const [name, end] of Object.entries(endings)) {
    const crypto = countingAeads(nativeCrypto())
    const pair = new TlsPair(workloads, { crypto }).run()
    assert.equal(crypto.live, 4, name)
    end(pair)
    assert.equal(crypto.live, 0, name)
  }
})

test('TlsConnection is over at once when disposed from any handler, and leaves no key behind', () => {
  for (const role of ['client', 'server'] as const) {
    // The output of a handshake comes in a few calls: each of them may be where the transport is found broken.
    for (let nth = 1; nth <= 6; nth++) disposeAtOutput(role, nth)
  }
})

/** Disposes one side in its n-th call of `output`, as a transport that fails synchronously does. */
function disposeAtOutput(role: Role, nth: number): void {
  const crypto = countingAeads(nativeCrypto())
  const calls: string[] = []
  const pair = new TlsPair(workloads)
  let outputs = 0
  const pending: Uint8Array[] = []
  const handlers = {
    output(bytes: Uint8Array) {
      pending.push(bytes.slice())
      if (++outputs === nth) own[Symbol.dispose]()
    },
    established: () => calls.push(outputs >= nth ? 'established after disposal' : 'established'),
    data: () => calls.push('data'),
    peerClosed: () => calls.push('peerClosed'),
    failed: () => calls.push('failed'),
  }
  const common = { crypto, nowMs: () => NOW_MS }
  const verifier = verifierFor(workloads)
  const own: TlsConnection =
    role === 'client'
      ? TlsConnection.client({ ...common, verifier, credential: workloads.client }, handlers)
      : TlsConnection.server(
          { ...common, clientVerifier: verifier, credential: () => workloads.server },
          handlers,
        )
  const other = role === 'client' ? pair.server : pair.client
  own.start()
  other.connection.start()
  for (let turn = 0; turn < 6; turn++) {
    for (const bytes of pending.splice(0)) other.connection.receive(bytes)
    const back = other.take()
    if (back.length > 0) own.receive(back)
  }
  const where = `${role}, output ${nth} of ${outputs}`
  assert.ok(!calls.includes('established after disposal'), where)
  assert.ok(!calls.includes('failed'), where)
  if (outputs >= nth) {
    assert.throws(() => own.send(utf8('x')), { code: 'TLS_MISUSE' }, where)
    assert.equal(crypto.live, 0, where)
  }
  own[Symbol.dispose]()
  assert.equal(crypto.live, 0, where)
}
