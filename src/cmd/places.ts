import { extname, join } from 'node:path'

/** Source is run as source, and what was built as what was built. */
const EXTENSION = extname(import.meta.filename)

/**
 * The path of a file beside this one, wherever this program lies. A build puts everything into few files, all of them in this
 * one's directory, so that no other module knows where it lies.
 *
 * @param name without its extension, such as `demo/web-app`
 */
export function programFile(name: string): string {
  return join(import.meta.dirname, `${name}${EXTENSION}`)
}

/** The package's own manifest. */
export const MANIFEST: string = join(import.meta.dirname, '../../package.json')
