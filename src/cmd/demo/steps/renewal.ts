import { Agent } from 'node:http'
import { callHttp } from '../call-http.ts'
import { RECORD_TIMEOUT_MS, REQUEST_TIMEOUT_MS } from '../limits.ts'
import { SVID_TTL_SECONDS } from '../shop.ts'
import type { OwnSvid, SidecarAdmin } from '../sidecar-admin.ts'
import { DemoError } from '../../errors.ts'
import type { Step } from '../step.ts'
import { Feed, keepAsking, type Tally } from '../traffic.ts'
import { pause, until, within } from '../wait.ts'
import type { World } from '../world.ts'
import { serialText } from '../words.ts'

/** A renewal is due at half of a certificate's life, give or take a tenth; a slow machine may take longer over it. */
const RENEWAL_TIMEOUT_MS = 1_000 * SVID_TTL_SECONDS

/** Certificates whose ends lie further apart are of two generations: one sidecar has just renewed, the other is about to. */
const SAME_GENERATION_MS = 250 * SVID_TTL_SECONDS

/** Traffic that is seen to go on after the last renewal. */
const AFTERWARDS_MS = 700

/** New certificates come under traffic, and nobody notices. */
export const renewal: Step = {
  title: 'the certificates are renewed under traffic',
  did: ({ web }) =>
    `requests without a pause until web's and catalog's sidecars had both renewed: pages of web, http://${web.outbound}/items over ` +
    `new connections and over one that is kept, and one response that goes on all the while. Certificates live for ` +
    `${SVID_TTL_SECONDS} s here, an hour in earnest, and are renewed at half of that: this takes some ten seconds.`,
  proves:
    'Renewal is a new key and a new certificate for the next handshake, not an interruption: what is open goes on, what ' +
    'is new proves itself with the new one.',
  async run(world, { evidence, signal }) {
    const { web, catalog } = world
    const before = await sameGeneration(world, signal)
    const firstHandshakes = (await catalog.admin.handshakes()).length
    await using traffic = await Traffic.start(world, signal)
    const [webSvid, catalogSvid] = await Promise.all([
      renewed(web.admin, before.web, "web's sidecar", signal),
      renewed(catalog.admin, before.catalog, "catalog's sidecar", signal),
    ])
    await pause(AFTERWARDS_MS, signal)
    const shown = await until(() => newestSerial(catalog.admin, webSvid.serial), {
      what: `a handshake with web's new certificate ${webSvid.serial}`,
      timeoutMs: RECORD_TIMEOUT_MS,
      signal,
    })
    const { tallies, feed } = await traffic.stop(signal)
    const handshakes = (await catalog.admin.handshakes()).length - firstHandshakes

    evidence.saw("web's sidecar", `${serialText(before.web.serial)}  →  ${serialText(webSvid.serial)}`)
    evidence.saw(
      "catalog's sidecar",
      `${serialText(before.catalog.serial)}  →  ${serialText(catalogSvid.serial)}`,
    )
    evidence.saw(
      'newest handshake',
      `web proved ${serialText(shown)}; ${handshakes} new connections between the sidecars meanwhile`,
    )
    for (const [what, { requests, failures }] of tallies) {
      evidence.saw(what, `${requests} requests, ${failures.length} failed`)
      evidence.expect(
        failures.length === 0 && requests > 0,
        `no failure of ${what}`,
        failures.slice(0, 3).join('; '),
      )
    }
    evidence.saw('one long response', feed.fault ?? `${feed.lines} lines, none missing, to its end`)
    evidence.expect(feed.fault === undefined, 'one response to go on throughout', feed.fault ?? '')
  },
}

/** The certificates in use, once both have enough of their life left to see the other renewed. */
async function sameGeneration(
  { web, catalog }: World,
  signal: AbortSignal,
): Promise<{ readonly web: OwnSvid; readonly catalog: OwnSvid }> {
  return until(
    async () => {
      const [ofWeb, ofCatalog] = await Promise.all([web.admin.svid(), catalog.admin.svid()])
      const apartMs = Math.abs(ofWeb.expiresAtMs - ofCatalog.expiresAtMs)
      return apartMs < SAME_GENERATION_MS ? { web: ofWeb, catalog: ofCatalog } : undefined
    },
    { what: 'certificates of one generation', timeoutMs: RENEWAL_TIMEOUT_MS, signal },
  )
}

function renewed(admin: SidecarAdmin, before: OwnSvid, who: string, signal: AbortSignal): Promise<OwnSvid> {
  return until(
    async () => {
      const svid = await admin.svid()
      return svid.serial === before.serial ? undefined : svid
    },
    { what: `${who} to renew its certificate`, timeoutMs: RENEWAL_TIMEOUT_MS, signal },
  )
}

/** The serial that a client proved last, if it is this one. */
async function newestSerial(admin: SidecarAdmin, wanted: string): Promise<string | undefined> {
  const newest = (await admin.handshakes()).findLast(({ outcome }) => outcome === 'established')
  const serial = newest && (await admin.peerSerial(newest.id))
  return serial === wanted ? serial : undefined
}

interface FeedResult {
  readonly lines: number
  readonly fault: string | undefined
}

/** All the traffic of the step. */
class Traffic implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #kept = new Agent({ keepAlive: true, maxSockets: 1 })
  readonly #tallies = new Map<string, Tally>()
  readonly #world: World
  readonly #feed: Feed
  readonly #loops: Promise<void[]>

  private constructor(world: World, feed: Feed) {
    const { web } = world
    this.#world = world
    this.#feed = feed
    const items = `http://${web.outbound}/items`
    this.#loops = Promise.all([
      this.#loop('pages of web', `http://${web.app}/`, false),
      this.#loop('new connections', items, false),
      this.#loop('a kept connection', items, this.#kept),
    ])
  }

  static async start(world: World, signal: AbortSignal): Promise<Traffic> {
    return new Traffic(world, await Feed.open(`http://${world.web.outbound}/items/feed`, signal))
  }

  /** Ends it in order: what has been asked is answered. */
  async stop(
    signal: AbortSignal,
  ): Promise<{ readonly tallies: ReadonlyMap<string, Tally>; readonly feed: FeedResult }> {
    await this.#stopAsking()
    const url = `http://${this.#world.catalog.app}/items/feed`
    const { text } = await callHttp(url, { method: 'DELETE', timeoutMs: REQUEST_TIMEOUT_MS, signal })
    const [sent] = (JSON.parse(text) as { readonly ended: readonly number[] }).ended
    const limits = { what: 'the long response to end', timeoutMs: REQUEST_TIMEOUT_MS, signal }
    const broken = await within(this.#feed.ended, limits)
    const { lines } = this.#feed
    const fault =
      broken ?? (lines === sent ? undefined : `${lines} lines came of ${sent ?? 'none'} that were sent`)
    return { tallies: this.#tallies, feed: { lines, fault } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stopAsking()
    this.#feed[Symbol.dispose]()
    this.#kept.destroy()
  }

  async #stopAsking(): Promise<void> {
    this.#stop.abort()
    await this.#loops
  }

  #loop(what: string, url: string, agent: Agent | false): Promise<void> {
    const tally: Tally = { requests: 0, failures: [] }
    this.#tallies.set(what, tally)
    const ask = async (): Promise<void> => {
      const { status } = await callHttp(url, { agent, timeoutMs: REQUEST_TIMEOUT_MS })
      if (status !== 200) throw new DemoError('DEMO_UNEXPECTED', `GET ${url}: expected 200, got ${status}`)
    }
    return keepAsking(ask, tally, this.#stop.signal)
  }
}
