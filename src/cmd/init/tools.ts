import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { CaptureError } from '../errors.ts'

/** Where Linux keeps the tools of administrators, which containers often leave out of PATH. */
const ADMIN_PATHS = '/usr/sbin:/sbin'

/** The packages that tools come with, as distributions commonly name them. */
const PACKAGES: Readonly<Record<string, string>> = { nft: 'nftables', ip: 'iproute2' }

/** What a tool is run with. */
export interface ToolRun {
  /** The whole of its standard input. @default none */
  readonly input?: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Runs one of the kernel's tools to its end.
 *
 * @returns what it wrote to standard output
 * @throws CaptureError CAPTURE_TOOL_MISSING, CAPTURE_NOT_PERMITTED, CAPTURE_TOOL_FAILED
 */
export async function runTool(
  tool: string,
  args: readonly string[],
  { input = '', env }: ToolRun,
): Promise<string> {
  const child = spawn(tool, args, { env: { ...env, PATH: `${env['PATH'] ?? ''}:${ADMIN_PATHS}` } })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) => reject(notRun(tool, cause)))
    child.once('close', resolve)
  })
  // A tool that refuses its input says why on standard error.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  if (code !== 0) throw failed(tool, code, stderr.trim())
  return stdout
}

function notRun(tool: string, cause: NodeJS.ErrnoException): CaptureError {
  if (cause.code === 'E2BIG')
    return new CaptureError(
      'CAPTURE_TOOL_FAILED',
      `Cannot run ${tool}: the rules are too long: expected fewer ports and networks in the options`,
      { cause },
    )
  return new CaptureError(
    'CAPTURE_TOOL_MISSING',
    `Cannot run ${tool}: expected it to be installed; it comes with the package ${PACKAGES[tool] ?? 'iptables'}`,
    { cause },
  )
}

function failed(tool: string, code: number | null, stderr: string): CaptureError {
  return /not permitted|permission denied|must be root/i.test(stderr)
    ? new CaptureError(
        'CAPTURE_NOT_PERMITTED',
        `${tool} may not touch the packet filter: expected the capability NET_ADMIN in this network namespace, got: ${stderr}`,
      )
    : new CaptureError('CAPTURE_TOOL_FAILED', `${tool} ended with ${code ?? 'a signal'}: ${stderr}`)
}
