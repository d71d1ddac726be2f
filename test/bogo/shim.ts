/** The program that the adversarial suite starts for every test; see README.md. */
import { nativeCrypto } from '../../src/crypto/native-provider.ts'
import { describeError } from './error-names.ts'
import { UnmetEchExpectation } from './ech-flags.ts'
import { exchange } from './exchange.ts'
import { UnmetExpectation } from './expectations.ts'
import { parseFlags, UnsupportedFlag } from './flags.ts'
import { Memory } from './memory.ts'

/** What the exit status tells the suite. */
const Exit = { success: 0, failure: 1, unsupported: 89, unmetExpectation: 90 } as const

process.exitCode = await run(process.argv.slice(2))

async function run(args: readonly string[]): Promise<number> {
  try {
    const { initial, resume, retry } = parseFlags(args)
    if (initial.isHandshakerSupported) {
      process.stdout.write('No\n')
      return Exit.success
    }
    const { ticketKey } = initial
    const memory = new Memory(nativeCrypto(), {
      earlyData: initial.enableEarlyData || resume.enableEarlyData,
      ticketKey: ticketKey === undefined ? undefined : Uint8Array.fromBase64(ticketKey),
    })
    for (let i = 0; i <= (initial.resumeCount ?? 0); i++) {
      const isResumption = i > 0
      const settings = isResumption ? resume : initial
      await exchange({ settings, retry, isResumption, memory })
      memory.advance(settings.resumptionDelay ?? 0)
    }
    return Exit.success
  } catch (thrown) {
    process.stderr.write(`${describeError(thrown)}\n`)
    if (thrown instanceof UnsupportedFlag) return Exit.unsupported
    const isUnmet = thrown instanceof UnmetExpectation || thrown instanceof UnmetEchExpectation
    return isUnmet ? Exit.unmetExpectation : Exit.failure
  }
}
