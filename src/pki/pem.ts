/** PEM, the textual encoding of DER (RFC 7468). */
import { CertificateError } from './errors.ts'

/** One block between its BEGIN and END lines. */
export interface PemBlock {
  /** E.g. `CERTIFICATE`. */
  readonly label: string
  readonly der: Uint8Array
}

/** Longer text is no bundle of anchors (the web's has about 220 kB) and no key. */
const MAX_TEXT_CHARACTERS = 4 * 1024 * 1024

/** RFC 7468 §2 */
const LINE_CHARACTERS = 64

const BEGIN = /^-----BEGIN ((?:[\x21-\x2c\x2e-\x7e](?:[- ]?[\x21-\x2c\x2e-\x7e])*)?)-----\s*$/

/**
 * Every block in `text`, in order. Text between blocks is ignored, as RFC 7468 §2 has it; a broken block is not.
 *
 * @throws CertificateError PKI_PEM
 */
export function readPem(text: string): readonly PemBlock[] {
  if (text.length > MAX_TEXT_CHARACTERS)
    throw new CertificateError(
      'PKI_PEM',
      `PEM text of ${text.length} characters is longer than ${MAX_TEXT_CHARACTERS}`,
    )
  const blocks: PemBlock[] = []
  let open: { readonly label: string; readonly line: number; readonly body: string[] } | undefined
  for (const [index, line] of text.split(/\r\n|\n|\r/).entries()) {
    const label = line.startsWith('-----BEGIN') ? BEGIN.exec(line)?.[1] : undefined
    if (open === undefined) {
      if (label !== undefined) open = { label, line: index + 1, body: [] }
      else if (line.startsWith('-----'))
        throw malformed(index + 1, `is ${JSON.stringify(line)}, expected a BEGIN line`)
    } else if (line.trimEnd() === `-----END ${open.label}-----`) {
      blocks.push({ label: open.label, der: decodeBody(open) })
      open = undefined
    } else if (line.startsWith('-----')) {
      throw malformed(index + 1, `is ${JSON.stringify(line)}, expected -----END ${open.label}-----`)
    } else {
      open.body.push(line)
    }
  }
  if (open !== undefined) throw malformed(open.line, `begins ${open.label}, which never ends`)
  return blocks
}

/**
 * The contents of all blocks with this label; others are skipped.
 *
 * @throws CertificateError PKI_PEM, also when there is no such block
 */
export function decodePem(text: string, label: string): readonly Uint8Array[] {
  const blocks = readPem(text)
  const wanted = blocks.filter((block) => block.label === label)
  if (wanted.length > 0) return wanted.map(({ der }) => der)
  const found = blocks.length === 0 ? 'no PEM at all' : blocks.map((block) => block.label).join(', ')
  throw new CertificateError('PKI_PEM', `The text holds no PEM block ${label}; it holds ${found}`)
}

/** One block, ending in a line feed. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = der.toBase64().match(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g')) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}

function decodeBody({
  label,
  line,
  body,
}: {
  label: string
  line: number
  body: readonly string[]
}): Uint8Array {
  // RFC 7468 §2: no headers within; old encrypted keys have them (RFC 1421).
  if (body.some((text) => text.includes(':'))) {
    if (body.some((text) => text.startsWith('Proc-Type:')))
      throw new CertificateError(
        'PKI_ENCRYPTED_KEY',
        `The PEM block ${label} at line ${line} is encrypted; decrypt it first, e.g. with openssl pkey`,
      )
    throw malformed(line, `begins ${label} with headers, which are not accepted`)
  }
  try {
    return Uint8Array.fromBase64(body.join('').replaceAll(/[ \t]/g, ''), { lastChunkHandling: 'strict' })
  } catch (cause) {
    throw malformed(line, `begins ${label} whose contents are not base64`, cause)
  }
}

function malformed(line: number, problem: string, cause?: unknown): CertificateError {
  return new CertificateError('PKI_PEM', `PEM line ${line} ${problem}`, { cause })
}
