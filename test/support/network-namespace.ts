import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'

/** Of whatever runs in a namespace; it is killed then. */
const TIMEOUT_MS = 60_000

/** A network of its own for one program, in which it is root: nothing of this machine is reachable from there, or changed. */
const UNSHARE = ['--user', '--map-root-user', '--net']

/** Why programs cannot be given a network of their own here; undefined where they can. */
export function noNetworkNamespaces(...tools: readonly string[]): string | undefined {
  if (process.platform !== 'linux') return 'There are no network namespaces here'
  try {
    execFileSync('unshare', [...UNSHARE, 'sh', '-c', toolsAreHere(tools)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    return undefined
  } catch (error) {
    const { stderr, message } = error as Error & { readonly stderr?: Buffer }
    return `No network namespace with ${tools.join(', ') || 'nothing'}: ${stderr?.toString().trim() || message}`
  }
}

/** Runs a TypeScript program in a network of its own. @returns what it wrote. @throws Error when it fails */
export async function runInNamespace(program: string, args: readonly string[] = []): Promise<string> {
  const command = [...UNSHARE, process.execPath, '--disable-warning=ExperimentalWarning', program, ...args]
  const { stdout } = await promisify(execFile)('unshare', command, { timeout: TIMEOUT_MS })
  return stdout
}

/** A shell command that fails, with the name of what is missing on standard error, where not all of these tools are here. */
export function toolsAreHere(tools: readonly string[]): string {
  return [
    'true',
    ...tools.map((tool) => `{ command -v ${tool} >/dev/null || { echo ${tool} is missing >&2; false; }; }`),
  ].join(' && ')
}
