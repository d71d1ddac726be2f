/** What the tools are given, as files to read: `node --test --test-update-snapshots` writes them anew. */
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { join } from 'node:path'
import test from 'node:test'
import { init } from '../../src/cmd/init/command.ts'

const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  excluding: [
    '--outbound-exclude-ports=9000,3306,5432-5433,5433-5440',
    '--outbound-exclude-cidrs=10.0.0.0/8,10.1.0.0/16,169.254.169.254,fd00::/8',
    '--inbound-exclude-ports=65535,22',
    '--inbound-exclude-cidrs=192.0.2.1',
  ],
  including: [
    '--outbound-include-ports=80,443,8000-8100',
    '--outbound-include-cidrs=10.96.0.0/12,fd00:96::/64',
    '--inbound-include-ports=8080',
    '--inbound-include-cidrs=10.0.0.0/8,192.168.0.0/16',
  ],
  'inbound-only': ['--outbound-include-ports='],
  'other-proxy': [
    '--proxy-uid=2102',
    '--proxy-gid=2103',
    '--outbound-proxy-port=4140',
    '--inbound-proxy-port=4143',
    '--admin-port=4191',
  ],
  remove: ['--remove'],
}

for (const [name, flags] of Object.entries(OPTIONS))
  for (const backend of ['nftables', 'iptables'])
    test(`init --dry-run renders ${name} for ${backend}`, async (t) => {
      t.assert.fileSnapshot(
        await dryRun([`--backend=${backend}`, ...flags]),
        join(import.meta.dirname, 'golden', `${name}.${backend}`),
        { serializers: [(rules: unknown) => String(rules).trimEnd()] },
      )
    })

async function dryRun(flags: readonly string[]): Promise<string> {
  const stdout = new PassThrough()
  const { signal } = new AbortController()
  const io = { stdin: new PassThrough(), stdout, stderr: new PassThrough(), env: {}, signal }
  await init.run(['--dry-run', ...flags], io)
  stdout.end()
  return text(stdout)
}
