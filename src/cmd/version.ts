import { readFileSync } from 'node:fs'
import type { Command, CommandIo } from './command.ts'
import { parseFlags } from './flags.ts'
import { MANIFEST } from './places.ts'

/** `handfast version` */
export const version: Command = {
  summary: 'Print the version, and the runtime and OpenSSL it runs on',
  usage: `Usage: handfast version [--json]

Prints the version of Handfast, of Node.js and of the OpenSSL inside it, and the platform.

  --json   as one JSON object: version, node, openssl, platform
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, { options: { json: { type: 'boolean' } } })
    const versions = {
      version: packageVersion(),
      node: process.versions.node,
      openssl: process.versions.openssl,
      platform: `${process.platform}-${process.arch}`,
    }
    io.stdout.write(
      values.json === true
        ? `${JSON.stringify(versions)}\n`
        : `handfast ${versions.version} (Node.js ${versions.node}, OpenSSL ${versions.openssl}, ${versions.platform})\n`,
    )
    return 0
  },
}

function packageVersion(): string {
  const text = readFileSync(MANIFEST, 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}
