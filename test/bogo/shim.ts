/** The program that the adversarial suite starts for every test; see README.md. */
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { describeError } from './error-names.ts'
import { exchange } from './exchange.ts'
import { UnmetExpectation } from './expectations.ts'
import { parseFlags, UnsupportedFlag } from './flags.ts'

/** What the exit status tells the suite. */
const Exit = { success: 0, failure: 1, unsupported: 89, unmetExpectation: 90 } as const

/** The suite's own shim stands still at this time, and so do the ages of its tickets. */
const START_SECONDS = 1234

process.exitCode = await run(process.argv.slice(2))

async function run(args: readonly string[]): Promise<number> {
  try {
    const { initial } = parseFlags(args)
    if (initial.isHandshakerSupported) {
      process.stdout.write('No\n')
      return Exit.success
    }
    await exchange(initial, { crypto: nativeCrypto(), nowMs: () => START_SECONDS * 1000 })
    return Exit.success
  } catch (thrown) {
    process.stderr.write(`${describeError(thrown)}\n`)
    if (thrown instanceof UnsupportedFlag) return Exit.unsupported
    return thrown instanceof UnmetExpectation ? Exit.unmetExpectation : Exit.failure
  }
}
