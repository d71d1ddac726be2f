/** Letters, digits and inner hyphens (RFC 5890 §2.3.1), at most 63 of them. */
const LABEL = /^[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?$/

/** A last label that makes browsers, and the libraries that follow them, take a name for an IPv4 address. */
const NUMBER = /^([0-9]+|0[xX][0-9A-Fa-f]*)$/

/**
 * Whether a name can be shown to observers and matched against a certificate: dot-separated labels of a DNS name, the
 * last of which is no number (RFC 9849 §4).
 */
export function isPublicName(name: string): boolean {
  const labels = name.split('.')
  return name.length <= 253 && labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1)!)
}
