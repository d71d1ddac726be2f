/** What the demo says before, between and after its steps. */
import { paragraph, table, type Look } from './narrate.ts'
import { invitationsFor } from './invitation.ts'
import { idOf, WORKLOADS } from './shop.ts'
import type { World } from './world.ts'

const PICTURE = `
    web ──▶ sidecar ══╗
                      ╠══ mutual TLS 1.3 ══▶ sidecar ──▶ catalog
       intruder's ════╝
          sidecar           controller: certificates and policy
`

/** What the reader is about to see. */
export function introduction(look: Look): string {
  const { paint } = look
  return [
    `\n${paint('bold', 'Handfast: mutual TLS and policy between two applications')}\n\n`,
    paragraph(
      'A tiny shop: web shows a page of what catalog sells. Both are plain HTTP applications. Beside each runs a sidecar ' +
        'that speaks TLS 1.3 with the others, on an engine of its own, with a certificate that the controller issues in ' +
        'a moment. intruder has a sidecar and a valid certificate too, and no business here.',
      look,
      2,
    ),
    `${PICTURE}\n`,
    paint('dim', '  Starting a controller, two applications and three sidecars …\n'),
  ].join('')
}

/** Who is there, and where. */
export function cast(
  world: World,
  directory: string,
  { look, elapsedMs }: { readonly look: Look; readonly elapsedMs: number },
): string {
  const { controllerAddress, catalog, web, intruder } = world
  return [
    look.paint('dim', `  Ready after ${secondsText(elapsedMs)}.\n\n`),
    table(
      [
        ['controller', controllerAddress],
        ['web', `http://${web.app}; reaches catalog at http://${web.outbound}, which is its sidecar`],
        ['catalog', `http://${catalog.app}; its sidecar takes mutual TLS at ${catalog.inbound}`],
        ['intruder', `reaches catalog at http://${intruder.outbound}, which is its sidecar`],
        ...WORKLOADS.map((workload) => ['identities', idOf(workload)] as const),
        ['files and logs', directory],
      ],
      look,
    ),
    '\n',
  ].join('')
}

/** Whether it all held. */
export function closing(
  {
    total,
    failed,
    elapsedMs,
  }: { readonly total: number; readonly failed: readonly number[]; readonly elapsedMs: number },
  { paint }: Look,
): string {
  const took = `in ${secondsText(elapsedMs)}`
  if (failed.length === 0) return `${paint(['bold', 'green'], `✔ All ${total} steps held`)}, ${took}.\n`
  const which = `${failed.length === 1 ? 'step' : 'steps'} ${failed.join(', ')}`
  return `${paint(['bold', 'red'], `✘ Of ${total} steps these did not hold: ${which}`)}; ${took}.\n`
}

/** What to try now. */
export function invitation(world: World, handfast: string, look: Look): string {
  const { paint } = look
  const parts = invitationsFor(world, handfast).map(
    ({ shows, commands }) =>
      `    ${paint('dim', `# ${shows}`)}\n${commands.map((command) => `${indented(command)}\n`).join('')}`,
  )
  return [
    `\n${paint('bold', '  Your turn')}, in another shell in this directory. All of it runs until Ctrl-C.\n\n`,
    parts.join('\n'),
    '\n',
  ].join('')
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}

function secondsText(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`
}
