import { join } from 'node:path'
import { writeDurably, SECRET_FILE_MODE } from '../../ca/durable-file.ts'
import { DirectoryTokenStore } from '../../ca/directory-token-store.ts'
import { createJoinToken, MAX_TOKEN_TTL_MS, MAX_TOKEN_USES } from '../../ca/join-token.ts'
import { formatDuration } from '../../config/duration.ts'
import { controllerId } from '../../config/proxy-config.ts'
import { nativeCrypto } from '../../crypto/native-provider.ts'
import { messageOf } from '../../errors.ts'
import { SpiffeId } from '../../identity/spiffe-id.ts'
import { type Command, type CommandIo, ExitCode } from '../command.ts'
import { UsageError } from '../errors.ts'
import { parseCount, parseDurationMs, parseFlags, quoted, required } from '../flags.ts'
import { readControllerConfig } from './settings.ts'
import { STATE_FILES } from './state-files.ts'
import { asConfigErrors } from './refusals.ts'

const DEFAULT_TTL = '24h'

/** `handfast controller token create` */
export const controllerToken: Command = {
  summary: 'Make a join token, with which a workload gets its first certificate',
  usage: `Usage: handfast controller token create --spiffe-id ID [--ttl DURATION] [--uses N] [--output FILE] --config FILE

Makes a token that lets whoever holds it have certificates for ID from this controller, until it expires. Renewals
need no token: a workload proves itself with the certificate it has. The controller may be running, and need not be
told. The token itself is not kept, only its SHA-256; it cannot be shown again.

  --spiffe-id ID       whom the token stands for, such as spiffe://example.org/ns/shop/sa/web
  --ttl DURATION       how long it is valid, at most ${formatDuration(MAX_TOKEN_TTL_MS)}; ${DEFAULT_TTL} unless given
  --uses N             how often it can be used, from 1 to ${MAX_TOKEN_USES}; any number of times unless given
  --output FILE        write the token to FILE, readable by the owner only, instead of printing it
  --config FILE        the controller's configuration; what the flags below say goes first
  --state-dir DIR      the controller's state directory
  --trust-domain NAME  the controller's trust domain
`,
  async run(args: readonly string[], io: CommandIo): Promise<number> {
    const { values, positionals } = parseFlags(args, {
      options: {
        'spiffe-id': { type: 'string' },
        ttl: { type: 'string', default: DEFAULT_TTL },
        uses: { type: 'string' },
        output: { type: 'string' },
        config: { type: 'string' },
        'state-dir': { type: 'string' },
        'trust-domain': { type: 'string' },
      },
      positionals: ['create'],
    })
    if (positionals[0] !== 'create')
      throw new UsageError(`Expected create, got ${quoted(positionals[0] ?? '')}`)
    const id = parseId(required('--spiffe-id', values['spiffe-id'], 'whom the token stands for'))
    const ttlMs = parseTtl(values.ttl)
    const uses = values.uses === undefined ? undefined : parseUses(values.uses)
    const { stateDir, trustDomain } = await readControllerConfig(values)
    if (id.trustDomain !== trustDomain)
      throw new UsageError(
        `--spiffe-id: expected an ID of the trust domain ${trustDomain}, got ${quoted(id.toString())}`,
      )

    if (id.toString() === controllerId(trustDomain))
      throw new UsageError(`--spiffe-id: expected the ID of a workload, got the controller's own`)
    const token = await asConfigErrors(async () => {
      const store = await DirectoryTokenStore.open(join(stateDir, STATE_FILES.tokens))
      const made = await createJoinToken(id, {
        crypto: nativeCrypto(),
        store,
        nowMs: Date.now(),
        ttlMs,
        uses,
      })
      if (values.output !== undefined)
        await writeDurably(values.output, `${made.text}\n`, { mode: SECRET_FILE_MODE })
      return made
    })
    if (values.output === undefined) io.stdout.write(`${token.text}\n`)
    const where = values.output === undefined ? '' : ` in ${values.output}`
    io.stderr.write(
      `Join token for ${id.toString()}${where}, valid until ${new Date(token.expiresAtMs).toISOString()}\n`,
    )
    return ExitCode.success
  },
}

function parseId(text: string): SpiffeId {
  try {
    const id = SpiffeId.parse(text)
    if (!id.isTrustDomain) return id
    throw new UsageError(`the ID of a workload has a path, got ${quoted(text)}`)
  } catch (error) {
    throw new UsageError(`--spiffe-id: ${messageOf(error)}`, { cause: error })
  }
}

function parseTtl(text: string): number {
  const ttlMs = parseDurationMs('--ttl', text)
  if (ttlMs > MAX_TOKEN_TTL_MS)
    throw new UsageError(`--ttl: expected at most ${formatDuration(MAX_TOKEN_TTL_MS)}, got ${quoted(text)}`)
  return ttlMs
}

function parseUses(text: string): number {
  const uses = parseCount('--uses', text, MAX_TOKEN_USES)
  if (uses === 0) throw new UsageError(`--uses: expected a number from 1 to ${MAX_TOKEN_USES}, got "0"`)
  return uses
}
