/** A peer's text longer than this tells an operator nothing more. In characters. */
const MAX_CHARACTERS = 300

/**
 * Text that came from a peer or a file, fit for a terminal: control, format and other invisible characters become
 * `\u{…}` escapes, so that nobody's certificate moves the cursor or reverses the line, and overlong text is cut.
 */
export function printable(text: string): string {
  const cut = text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text
  return cut.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)
}
