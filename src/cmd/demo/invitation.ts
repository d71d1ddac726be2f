import { idOf, ITEMS } from './shop.ts'
import type { World } from './world.ts'

/** A command to try, and what it shows. */
export interface Invitation {
  readonly shows: string
  /** For a POSIX shell, each as it is; one may go on over several lines. */
  readonly commands: readonly string[]
}

/** What to do with a demo that runs. */
export function invitationsFor(world: World, handfast: string): Invitation[] {
  const { web, catalog, intruder, trustBundleFile, policyFile } = world
  const item = `/items/${ITEMS[0]!.name}`
  const policy = shellQuote(policyFile)
  return [
    { shows: 'the shop; a browser shows it too', commands: [`curl http://${web.app}/`] },
    {
      shows: 'intruder, denied with the id of the decision',
      commands: [`curl -i http://${intruder.outbound}/items`],
    },
    {
      shows: "why: the newest decision of catalog's sidecar; with ?id= what it missed",
      commands: [`curl -s http://${catalog.admin.address}/decisions | head -20`],
    },
    {
      shows: 'a handshake without a certificate, refused and explained',
      commands: [
        [
          `${handfast} tls connect ${catalog.inbound}`,
          `--ca ${shellQuote(trustBundleFile)}`,
          `--spiffe-id ${idOf('catalog')} --explain </dev/null`,
        ].join(' \\\n  '),
      ],
    },
    {
      shows: "the handshakes of catalog's sidecar; the first, explained as the server saw it",
      commands: [
        `curl -s http://${catalog.admin.address}/handshakes`,
        `curl -s 'http://${catalog.admin.address}/explain?id=1&colour=always'`,
      ],
    },
    {
      shows: "web's certificate; another one in ten seconds",
      commands: [`curl -s http://${web.admin.address}/svid`],
    },
    {
      shows: 'edit the policy while it runs: web may delete, then no longer',
      commands: [
        `sed -i.bak 's/\\[GET\\]/[GET, DELETE]/' ${policy} && sleep 3`,
        `curl -i -X DELETE http://${web.outbound}${item}`,
        `mv ${shellQuote(`${policyFile}.bak`)} ${policy}`,
      ],
    },
  ]
}

/** A word of a command line for a POSIX shell, quoted only where it must be. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
