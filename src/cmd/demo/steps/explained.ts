import { idOf } from '../shop.ts'
import type { Step } from '../step.ts'

/** The first handshake between the sidecars of web and catalog, step by step. */
export const explained: Step = {
  title: 'the first handshake between the sidecars of web and catalog, explained',
  did: ({ web }) =>
    `GET http://${web.admin.address}/explain?id=1: what web's sidecar recorded while step 1 was under way.`,
  proves:
    'A handshake is no black box: five questions in order, each with what was said, what was checked and what was settled; ' +
    'a failure would be told the same way, at the question where it happened.',
  async run({ web }, { evidence, colour, width }) {
    const handshakes = await web.admin.handshakes()
    const first = handshakes.find(({ direction }) => direction === 'outbound')
    evidence.expect(first !== undefined, "a handshake of web's sidecar", 'none')
    if (first === undefined) return
    const { outcome, settled, stages } = await web.admin.explained(first.id)
    const open = stages.filter(({ status }) => status !== 'answered')
    evidence.exhibit = await web.admin.explanation(first.id, { colour, width })
    evidence.expect(
      outcome === 'established' && settled.peer?.name === idOf('catalog'),
      `an established connection with ${idOf('catalog')}`,
      `${outcome}, with ${settled.peer?.name ?? 'nobody'}`,
    )
    evidence.expect(
      stages.length === 5 && open.length === 0,
      'all five questions answered',
      open.map(({ question, status }) => `${question} ${status}`).join(', '),
    )
  },
}
