/** What our tools report of a connection, as tests read it. */
import assert from 'node:assert/strict'

/** The JSON document of the tools (docs/tls-tools.md), as far as tests look at it. */
export interface Report {
  readonly outcome: string
  readonly settled: {
    readonly version?: string
    readonly cipherSuite?: string
    readonly group?: string
    readonly serverName?: string
    readonly alpn?: string
    readonly resumed?: boolean
    readonly earlyData?: { readonly outcome: string }
    readonly peer?: { readonly name: string }
  }
  readonly stages: readonly { readonly steps: readonly ReportStep[] }[]
  readonly failure?: {
    readonly code: string
    readonly message: string
    readonly remedy: string
    readonly refusedBy?: string
    readonly alert?: { readonly description: string; readonly from: string }
  }
}

interface ReportStep {
  readonly kind: string
  readonly order?: number
  readonly from?: string
  readonly name?: string
  readonly description?: string
}

/** The report on a line of its own among other output. */
export function reportIn(output: string): Report {
  const line = output.split('\n').find((candidate) => candidate.startsWith('{"format":"handfast.handshake/'))
  assert.ok(line !== undefined, `No report in: ${output}`)
  return JSON.parse(line) as Report
}

/** Messages by name, as `client ClientHello`, in the order they came. */
export function messagesOf(report: Report): string[] {
  return stepsOf(report, 'message').map(({ from, name }) => `${from} ${name}`)
}

/** Alerts, as `client close_notify`, in the order they came. */
export function alertsOf(report: Report): string[] {
  return stepsOf(report, 'alert').map(({ from, description }) => `${from} ${description}`)
}

function stepsOf({ stages }: Report, kind: string): ReportStep[] {
  return stages
    .flatMap(({ steps }) => steps)
    .filter((step) => step.kind === kind)
    .sort((a, b) => a.order! - b.order!)
}
