/** Line peers in the matrix of features. */
import { LinePeer, type LineProgram } from './line-peer.ts'
import type { Feature, FeaturePeer, FeatureServer } from './features.ts'

export interface LineTraits {
  /** What it cannot do, and why. */
  readonly unsupported: FeaturePeer['unsupported']
  /** @default as `unsupported` */
  readonly unsupportedAsServer?: FeaturePeer['unsupported']
  readonly groups?: FeatureServer['groups']
}

const WISHES: Readonly<Partial<Record<Feature, readonly string[]>>> = {
  'client certificate': ['resume'],
  resumed: ['resume'],
  'its KeyUpdate': ['update'],
}

/** Some renew their keys by the number of bytes only. */
const LONG_LINE = `${'x'.repeat(6000)}\n`

/** A program's two rows. */
export function lineFeatures(
  peer: LineProgram,
  { unsupported, unsupportedAsServer = unsupported, groups }: LineTraits,
): readonly FeaturePeer[] {
  const { name, program } = peer
  return [
    {
      role: 'client',
      name,
      program,
      unsupported,
      async prepare(t, files, program) {
        const party = await LinePeer.start(peer.start(t, program, { files, credential: files.web }), peer)
        return (_t, feature, port) => party.connect(port, ...(WISHES[feature] ?? []))
      },
    },
    {
      role: 'server',
      name,
      program,
      unsupported: unsupportedAsServer,
      ...(groups === undefined ? {} : { groups }),
      async prepare(t, files, program) {
        const party = await LinePeer.start(peer.start(t, program, { files, credential: files.catalog }), peer)
        return async (_t, feature) => {
          const more = feature === 'HelloRetryRequest' ? ['group=secp256r1'] : []
          const service = await party.serve(...(WISHES[feature] ?? []), ...more)
          const first = feature === 'its KeyUpdate' ? LONG_LINE : 'first\n'
          const { port, request, goodbye } = service
          return {
            port,
            exchanges: [
              { request: first, answer: new RegExp(`^${first}$`) },
              { request, answer: new RegExp(`^${first}${request}$`) },
            ],
            ...(goodbye === undefined ? {} : { goodbye }),
            view: (received) => service.view(received),
          }
        }
      },
    },
  ]
}
