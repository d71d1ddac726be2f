/**
 * SPIFFE IDs made of what a token claims: `spiffe://example.org/ci/{+repository}/{environment}`. `{name}` stands for a
 * claim that is one path segment, `{+name}` for one that may be several.
 */
import { isWorkloadId } from './spiffe.ts'

const PLACEHOLDER = /\{(\+?)([A-Za-z0-9_./-]+)\}/g

/** What a claim may put in the place of one segment. */
const SEGMENT = /^(?!\.{1,2}$)[a-zA-Z0-9._-]+$/

/** Whether the text makes SPIFFE IDs of a literal trust domain. */
export function isIdTemplate(text: string): boolean {
  // The first slash after the scheme ends the trust domain, which no claim may have a part in.
  const path = text.indexOf('/', 'spiffe://'.length)
  return !/[{}]/.test(text.slice(0, path)) && isWorkloadId(text.replaceAll(PLACEHOLDER, 'x'))
}

/**
 * The SPIFFE ID for these claims.
 *
 * @returns `problem` with the claim that is missing, or cannot be part of a path
 */
export function expandIdTemplate(
  template: string,
  claims: Readonly<Record<string, unknown>>,
): { readonly id: string } | { readonly problem: string } {
  let problem: string | undefined
  const id = template.replaceAll(PLACEHOLDER, (_all, several: string, name: string) => {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined
    if (typeof value !== 'string') problem ??= `the claim ${name} is missing, or no text`
    else if (!(several === '+' ? value.split('/') : [value]).every((part) => SEGMENT.test(part)))
      problem ??= `the claim ${name} is ${JSON.stringify(value)}, which is no part of a SPIFFE ID`
    return String(value)
  })
  if (problem === undefined && !isWorkloadId(id))
    problem = 'the claims make no SPIFFE ID, or one that is too long'
  return problem === undefined ? { id } : { problem }
}
