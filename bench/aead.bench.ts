/**
 * One 16 KiB record sealed and opened by each implementation, side by side in one run: OpenSSL's EVP, node:crypto and
 * the portable provider. Only the ratios mean anything on another machine. Run it with `node bench/aead.bench.ts`.
 */
import { createNativeCrypto } from '../src/crypto/native-provider.ts'
import { portableCrypto } from '../src/crypto/portable-provider.ts'
import { AEAD_KEY_BYTES, AEAD_TAG_BYTES, type AeadName, type CryptoProvider } from '../src/crypto/provider.ts'
import { loadEvp } from '../src/native/evp.ts'

const AEADS: readonly AeadName[] = ['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305']
const RECORD_BYTES = 16_384
const ROUNDS = 5
/** Long enough for the clock, short enough for a laptop. */
const ROUND_MS = 60

const implementations: readonly (readonly [name: string, crypto: CryptoProvider])[] = [
  ['EVP', createNativeCrypto()],
  ['node:crypto', createNativeCrypto({ probe: () => ({ kind: 'missing', reason: 'For comparison' }) })],
  ['portable', portableCrypto()],
]

const probe = loadEvp()
if (probe.kind === 'missing') print(`EVP is not to be had (${probe.reason}): its rows show node:crypto\n`)

print('Microseconds per record of 16 KiB, best of interleaved rounds; times the cost of EVP in brackets\n')
for (const aead of AEADS) {
  const best = new Map<string, { seal: number; open: number }>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, crypto] of implementations) {
      const { seal, open } = measure(crypto, aead)
      const before = best.get(name) ?? { seal: Infinity, open: Infinity }
      best.set(name, { seal: Math.min(before.seal, seal), open: Math.min(before.open, open) })
    }
  }
  const base = best.get('EVP')!
  for (const [name, { seal, open }] of best) {
    print(
      `${aead.padEnd(18)} ${name.padEnd(12)} seal ${figure(seal, base.seal)}   open ${figure(open, base.open)}`,
    )
  }
  print('')
}

function measure(crypto: CryptoProvider, aead: AeadName): { seal: number; open: number } {
  const key = crypto.random(AEAD_KEY_BYTES[aead])
  using sealer = crypto.sealer(aead, key)
  using opener = crypto.opener(aead, key)
  const [nonce, header, plaintext] = [crypto.random(12), crypto.random(5), crypto.random(RECORD_BYTES)]
  const sealed = new Uint8Array(RECORD_BYTES + AEAD_TAG_BYTES)
  const opened = new Uint8Array(RECORD_BYTES)
  return {
    seal: microsecondsPerCall(() => sealer.seal(nonce, header, plaintext, sealed)),
    open: microsecondsPerCall(() => opener.open(nonce, header, sealed, opened)),
  }
}

function microsecondsPerCall(call: () => number): number {
  let calls = 0
  const begin = performance.now()
  let elapsed = 0
  do {
    for (let i = 0; i < 8; i++) if (call() < 0) throw new Error('A record was refused')
    calls += 8
    elapsed = performance.now() - begin
  } while (elapsed < ROUND_MS)
  return (1000 * elapsed) / calls
}

function figure(microseconds: number, base: number): string {
  return `${microseconds.toFixed(2).padStart(8)} µs (${(microseconds / base).toFixed(1).padStart(5)}×)`
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
