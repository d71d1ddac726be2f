import assert from 'node:assert/strict'
import test from 'node:test'
import { HandfastError } from '../../../src/errors.ts'
import { IdentityError } from '../../../src/identity/errors.ts'
import { NetError } from '../../../src/net/errors.ts'
import { CertificateError } from '../../../src/pki/errors.ts'
import { pack, unpack } from '../../../src/proxy/threads/pack.ts'
import { TlsError } from '../../../src/tls/errors.ts'
import { mintRoot } from '../../support/certificates.ts'

function there(value: unknown): unknown {
  return unpack(structuredClone(pack(value)))
}

test('unpack gives back plain data as it was, without functions', () => {
  const value = { text: 'a', list: [1, null, { big: 1n }], bytes: Uint8Array.of(1, 2), nothing: undefined }
  const { nothing: _nothing, ...said } = value
  assert.deepEqual(there({ ...value, ask: () => 1 }), said)
})

test('pack copies bytes instead of the memory that they are a view of', () => {
  const view = new Uint8Array(1 << 20).subarray(5, 9)
  const copy = structuredClone(pack(view)) as Uint8Array
  assert.equal(copy.buffer.byteLength, 4)
})

test('unpack gives certificates back as certificates', async () => {
  const { certificate } = await mintRoot()
  const back = there({ chain: [certificate] }) as { chain: (typeof certificate)[] }
  assert.deepEqual(back.chain[0]!.der, certificate.der)
  assert.equal(back.chain[0]!.subject.text, certificate.subject.text)
})

test('unpack gives errors back in their classes, with what these add and with their causes', async () => {
  const { certificate } = await mintRoot()
  const cause = new CertificateError('PKI_EXPIRED', 'Too old', { certificate })
  const error = there(
    new TlsError('TLS_CERTIFICATE_REJECTED', 'Refused', { cause, received: 'bad_certificate' }),
  )
  assert.ok(error instanceof TlsError)
  assert.deepEqual(
    [error.name, error.code, error.message, error.blame, error.alert, error.received],
    [
      'TlsError',
      'TLS_CERTIFICATE_REJECTED',
      'Refused',
      new TlsError('TLS_CERTIFICATE_REJECTED', '').blame,
      'certificate_expired',
      'bad_certificate',
    ],
  )
  assert.ok(error.cause instanceof CertificateError)
  assert.equal(error.cause.certificate?.serialNumber, certificate.serialNumber)
  const identity = there(new IdentityError('IDENTITY_MISMATCH', 'Another', { certificate }))
  assert.ok(identity instanceof IdentityError && identity.certificate !== undefined)
  const net = there(new NetError('NET_ADDRESS_IN_USE', 'Taken', { address: { host: '::1', port: 1 } }))
  assert.ok(net instanceof NetError)
  assert.deepEqual(net.address, { host: '::1', port: 1 })
})

test('unpack gives errors of no class of ours back with code, name and message', () => {
  class OtherError extends HandfastError {}
  const other = there(new OtherError('OTHER', 'm'))
  assert.ok(other instanceof HandfastError)
  assert.deepEqual([other.name, other.code, other.message], ['OtherError', 'OTHER', 'm'])
  const foreign = there(new TypeError('wrong', { cause: 'why' })) as Error
  assert.deepEqual([foreign.name, foreign.message, foreign.cause], ['TypeError', 'wrong', 'why'])
  assert.match(String(foreign.stack), /pack\.test/)
})

test('pack makes an end of cycles', () => {
  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  assert.doesNotThrow(() => there(cycle))
})
