import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  makeDirectory,
  SECRET_DIRECTORY_MODE,
  SECRET_FILE_MODE,
  writeDurably,
} from '../../ca/durable-file.ts'
import { type FetchedState, type FetchedSvid, WorkloadApiClient } from '../../control/workload-api/client.ts'
import { validityText } from '../../diagnose/time-text.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import type { Certificate } from '../../pki/certificate.ts'
import { certificateLabel } from '../../pki/label.ts'
import { encodePem } from '../../pki/pem.ts'
import { certificateJson } from '../../telemetry/plain-json.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { parseFlags } from '../flags.ts'
import { SOCKET_HELP, socketPath } from './endpoint.ts'

/** `handfast svid fetch` */
export const svidFetch: Command = {
  summary: 'Get the identity of this process from the SPIFFE Workload API',
  usage: `Usage: handfast svid fetch [--socket PATH] [--output-dir DIR] [--watch] [--json]

Asks a proxy, or any other SPIFFE Workload API, for the X.509-SVID that is meant for this process, and shows it with the
trust bundles that came along. The private key is shown nowhere; with --output-dir it is written to a file.

${SOCKET_HELP}  --output-dir DIR     write svid.pem, svid-key.pem, bundle.pem and bundle-<trust domain>.pem there, mode 0600
  --watch              go on, and show or write each newer one
  --json               print one line of JSON for each
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        socket: { type: 'string' },
        'output-dir': { type: 'string' },
        watch: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    using client = new WorkloadApiClient(socketPath(values.socket, io))
    for await (const state of client.watchX509(io.signal)) {
      if (values['output-dir'] !== undefined) await writeState(values['output-dir'], state)
      io.stdout.write(values.json ? `${JSON.stringify(stateJson(state))}\n` : stateText(state, Date.now()))
      if (!values.watch) return ExitCode.success
    }
    return ExitCode.success
  },
}

/** Each file is whole at any moment; the key is there before the certificate that is of no use without it. */
async function writeState(directory: string, { svids: [svid], federated }: FetchedState): Promise<void> {
  await makeDirectory(directory, SECRET_DIRECTORY_MODE)
  const write = (name: string, text: string): Promise<void> =>
    writeDurably(join(directory, name), text, { mode: SECRET_FILE_MODE })
  await write('svid-key.pem', encodePem('PRIVATE KEY', svid.key))
  await write('svid.pem', pemOf(svid.chain))
  await write('bundle.pem', pemOf(svid.anchors))
  const others = new Map<string, readonly Certificate[]>(
    Array.from(
      federated,
      ([id, anchors]) => [`bundle-${SpiffeId.parse(id).trustDomain}.pem`, anchors] as const,
    ),
  )
  for (const [name, anchors] of others) await write(name, pemOf(anchors))
  // Nobody shall go on trusting a trust domain that is no longer federated.
  for (const name of await readdir(directory))
    if (/^bundle-.*\.pem$/.test(name) && !others.has(name)) await rm(join(directory, name))
}

function pemOf(certificates: readonly Certificate[]): string {
  return certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join('')
}

function stateText({ svids, federated }: FetchedState, nowMs: number): string {
  const rows = svids.flatMap((svid) => svidRows(svid, nowMs))
  for (const [id, anchors] of federated) rows.push([`trusts ${id}`, anchorsText(anchors)])
  const columns = Math.max(...rows.map(([name]) => name.length)) + 2
  return `${rows.map(([name, value]) => `${name.padEnd(columns)}${value}\n`).join('')}\n`
}

function svidRows({ spiffeId, chain, anchors }: FetchedSvid, nowMs: number): [string, string][] {
  const [leaf] = chain
  return [
    ['SPIFFE ID', spiffeId],
    ['serial number', leaf.serialNumber],
    ['valid', validityText(leaf, nowMs)],
    ['chain', chain.map(certificateLabel).join(' < ')],
    [
      `trusts ${SpiffeId.ofTrustDomain(SpiffeId.parse(spiffeId).trustDomain).toString()}`,
      anchorsText(anchors),
    ],
  ]
}

function anchorsText(anchors: readonly Certificate[]): string {
  return anchors.map(certificateLabel).join(', ')
}

function stateJson({ svids, federated }: FetchedState): unknown {
  return {
    svids: svids.map(({ spiffeId, chain, anchors }) => ({
      spiffeId,
      chain: chain.map(certificateJson),
      anchors: anchors.map(certificateJson),
    })),
    federated: Object.fromEntries(
      Array.from(federated, ([id, anchors]) => [id, anchors.map(certificateJson)] as const),
    ),
  }
}
