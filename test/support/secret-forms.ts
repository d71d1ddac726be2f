/** How secrets would look if somebody wrote them down. */

/** Shorter ones are found in any long text by chance. */
const MIN_SECRET_BYTES = 16

/**
 * Every form of `secret` that text may have it in: hexadecimal, base64 of either alphabet wherever it stands in what was
 * encoded, and the numbers of its bytes. To be looked for in {@link plain} text.
 */
export function formsOf(secret: Uint8Array): readonly string[] {
  if (secret.length < MIN_SECRET_BYTES)
    throw new RangeError(`A secret of ${secret.length} bytes is too short to look for`)
  const base64 = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), secret]).toString('base64')
    // What the bytes before and after it have a part in may be any character.
    return text.slice(before === 0 ? 0 : before + 1, -4)
  })
  return [
    secret.toHex(),
    secret.toHex().toUpperCase(),
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    [...secret].join(','),
  ]
}

/** Text without what breaks lines and groups: white space, its escapes in JSON, and colons. */
export function plain(text: string): string {
  return text.replaceAll(/\s|\\[nrt]|:/g, '')
}
