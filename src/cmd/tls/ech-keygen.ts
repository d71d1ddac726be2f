import { SECRET_FILE_MODE, writeDurably } from '../../ca/durable-file.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { messageOf } from '../../errors.ts'
import { encodeEchConfigList, makeEchConfig } from '../../tls/ech/config.ts'
import { isPublicName } from '../../tls/ech/public-name.ts'
import { ConfigError } from '../../config/errors.ts'
import { ExitCode, type Command, type CommandIo } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseCount, parseFlags, quoted, required } from '../flags.ts'
import { echKeyFile } from './ech-files.ts'

/** One byte of the config says it (RFC 9849 §4). */
const MAX_NAME_LENGTH = 255

/** `handfast tls ech-keygen` */
export const tlsEchKeygen: Command = {
  summary: 'Make a key that clients encrypt their ClientHello to (ECH), and the config to publish',
  usage: `Usage: handfast tls ech-keygen --public-name NAME --output FILE [--maximum-name-length N]

Makes a key for Encrypted ClientHello (RFC 9849), for tls serve --ech-key. FILE gets the key and its config, readable by
the owner only. The config alone goes to standard output, in base64: what clients are given, by tls connect
--ech-config or in the "ech" parameter of a DNS record of the type HTTPS or SVCB.

  --public-name NAME   the DNS name that observers see; the server needs a certificate for it too
  --output FILE        where to keep the key
  --maximum-name-length N  the longest name behind the public one, in bytes: shorter ones are padded to it; default 0
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values } = parseFlags(args, {
      options: {
        'public-name': { type: 'string' },
        output: { type: 'string' },
        'maximum-name-length': { type: 'string', default: '0' },
      },
    })
    const publicName = required('--public-name', values['public-name'], 'the name that observers see')
    if (!isPublicName(publicName))
      throw new UsageError(`--public-name: expected a DNS name, got ${quoted(publicName)}`)
    const path = required('--output', values.output, 'a file to keep the key in')
    const maximumNameLength = parseCount(
      '--maximum-name-length',
      values['maximum-name-length'],
      MAX_NAME_LENGTH,
    )
    const { scalar, ...made } = makeEchConfig(nativeCrypto(), { publicName, maximumNameLength })
    await write(path, echKeyFile(made, scalar))
    io.stdout.write(`${encodeEchConfigList([made.config]).toBase64()}\n`)
    io.stderr.write(`handfast: The key is in ${path}\n`)
    return ExitCode.success
  },
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeDurably(path, text, { mode: SECRET_FILE_MODE })
  } catch (cause) {
    const problem = { file: path, field: '--output', expected: 'a file to write', got: messageOf(cause) }
    throw new ConfigError('CONFIG_UNREADABLE', [problem], { cause })
  }
}
