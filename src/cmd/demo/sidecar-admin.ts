import { callHttp, type HttpAnswer } from './call-http.ts'
import { DemoError } from '../errors.ts'

/** A sidecar's certificate, as `/svid` shows it. */
export interface OwnSvid {
  /** Hexadecimal. */
  readonly serial: string
  readonly expiresAtMs: number
  /** Of the policy in force, once there is one. */
  readonly policyRevision: string | null
}

/** What `/handshakes` lists. */
export interface HandshakeSummary {
  readonly id: number
  readonly direction: 'inbound' | 'outbound'
  readonly remote: string
  readonly outcome: string
  readonly version?: string
  readonly cipherSuite?: string
  readonly group?: string
  readonly peer?: string
}

/** The nearest that a policy came to allowing a request. */
export interface Miss {
  readonly policy: string
  readonly field: string
  readonly wanted: readonly (string | number)[]
  readonly got?: string | number
}

/** What `/decisions` shows. */
export interface DecisionRecord {
  readonly id: string
  readonly kind: 'permit' | 'denial'
  readonly cause: string
  readonly reason: string
  readonly policy?: string
  readonly rule?: number
  /** What each ALLOW policy missed first; only where one decision is asked for, and it is a denial. */
  readonly considered?: readonly Miss[]
  readonly request: { readonly principal: string; readonly method?: string; readonly path?: string }
}

/** What `/explain?format=json` shows, as far as the demo reads it (docs/tls-tools.md). */
export interface ExplainedHandshake {
  readonly outcome: string
  readonly settled: { readonly peer?: { readonly name: string } }
  readonly stages: readonly { readonly question: string; readonly status: string }[]
  readonly failure?: {
    readonly code: string
    readonly title: string
    readonly message: string
    readonly explanation: string
    readonly remedy: string
    readonly alert?: { readonly description: string; readonly from: string }
  }
}

interface SvidJson {
  readonly certificate: { readonly serialNumber: string }
  readonly expiresAt: string
  readonly policyRevision: string | null
}

interface EventJson {
  readonly kind: string
  readonly path?: readonly { readonly serialNumber: string }[]
}

const TIMEOUT_MS = 5_000

/** The admin pages of one sidecar (docs/proxy.md). */
export class SidecarAdmin {
  readonly address: string
  readonly #signal: AbortSignal

  constructor(address: string, signal: AbortSignal) {
    this.address = address
    this.#signal = signal
  }

  async svid(): Promise<OwnSvid> {
    const { certificate, expiresAt, policyRevision } = await this.#json<SvidJson>('/svid')
    return { serial: certificate.serialNumber, expiresAtMs: Date.parse(expiresAt), policyRevision }
  }

  /** Oldest first. */
  async handshakes(): Promise<readonly HandshakeSummary[]> {
    return this.#json('/handshakes')
  }

  /** The serial number of the certificate that the peer proved in a handshake. */
  async peerSerial(handshake: number): Promise<string | undefined> {
    const { events } = await this.#json<{ events: readonly EventJson[] }>(`/handshakes?id=${handshake}`)
    return events.find(({ kind }) => kind === 'identity')?.path?.[0]?.serialNumber
  }

  /** Newest first. */
  async decisions(): Promise<readonly DecisionRecord[]> {
    return this.#json('/decisions')
  }

  async decision(id: string): Promise<DecisionRecord> {
    return this.#json(`/decisions?id=${encodeURIComponent(id)}`)
  }

  async explained(handshake: number): Promise<ExplainedHandshake> {
    return this.#json(`/explain?id=${handshake}&format=json`)
  }

  /** The explanation as text for people. */
  async explanation(
    handshake: number,
    { colour, width }: { readonly colour: boolean; readonly width: number },
  ): Promise<string> {
    return (await this.#ask(`/explain?id=${handshake}&width=${width}${colour ? '&colour=always' : ''}`)).text
  }

  async #json<T>(path: string): Promise<T> {
    return JSON.parse((await this.#ask(path)).text) as T
  }

  async #ask(path: string): Promise<HttpAnswer> {
    const url = `http://${this.address}${path}`
    const answer = await callHttp(url, { timeoutMs: TIMEOUT_MS, signal: this.#signal })
    if (answer.status === 200) return answer
    throw new DemoError(
      'DEMO_UNEXPECTED',
      `GET ${url}: expected 200, got ${answer.status} ${answer.text.trim()}`,
    )
  }
}
