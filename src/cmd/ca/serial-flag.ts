import { UsageError } from '../errors.ts'
import { quoted } from '../flags.ts'

/** As tools write it: with colons, in capitals, with leading zeros. @throws UsageError */
export function parseSerial(text: string): string {
  const hex = text.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]+$/.test(hex))
    throw new UsageError(`--serial: expected a serial number in hexadecimal, got ${quoted(text)}`)
  return hex.replace(/^0+(?=.)/, '')
}
