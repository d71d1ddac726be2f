import { parseAddress } from '../../config/address.ts'
import { type ControllerConfig, controllerConfigSchema, isReplica } from '../../config/controller-config.ts'
import { API_VERSION } from '../../config/fields.ts'
import { parseYaml } from '../../config/parse.ts'
import { isTrustDomain } from '../../config/spiffe.ts'
import { UsageError } from '../errors.ts'
import { readOperatorFile } from '../files.ts'
import { quoted, required } from '../flags.ts'

/** Flags that say where the configuration is, or go before it. */
export interface ControllerFlags {
  readonly config?: string | undefined
  readonly 'state-dir'?: string | undefined
  readonly 'trust-domain'?: string | undefined
  readonly listen?: string | undefined
  readonly replica?: string | undefined
  readonly policy?: string | undefined
}

/**
 * The configuration of a controller: the file's, with what the flags say in its place. Without a file the flags must
 * give the state directory and the trust domain.
 *
 * @throws UsageError, ConfigError
 */
export async function readControllerConfig(flags: ControllerFlags): Promise<ControllerConfig> {
  const trustDomain = flags['trust-domain']
  if (trustDomain !== undefined && !isTrustDomain(trustDomain))
    throw new UsageError(`--trust-domain: expected a name such as example.org, got ${quoted(trustDomain)}`)
  const { listen, policy } = flags
  const address = listen === undefined ? undefined : parseAddress(listen)
  if (listen !== undefined && address === undefined)
    throw new UsageError(`--listen: expected IP:PORT, got ${quoted(listen)}`)

  const { replica } = flags
  if (replica !== undefined && !isReplica(replica))
    throw new UsageError(
      `--replica: expected a name of up to 63 lower-case letters, digits and inner hyphens, got ${quoted(replica)}`,
    )

  const base = flags.config === undefined ? fromFlags(flags) : await fromFile(flags.config)
  return {
    ...base,
    ...(trustDomain !== undefined && { trustDomain }),
    ...(flags['state-dir'] !== undefined && { stateDir: flags['state-dir'] }),
    ...(address !== undefined && { listen: address }),
    ...(replica !== undefined && { replica }),
    ...(policy !== undefined && { policyPath: policy }),
  }
}

async function fromFile(file: string): Promise<ControllerConfig> {
  const text = await readOperatorFile({ path: file, field: '--config' })
  return parseYaml(text, { file, schema: controllerConfigSchema })
}

function fromFlags(flags: ControllerFlags): ControllerConfig {
  const remedy = 'a value, or --config FILE'
  const spec = {
    trustDomain: required('--trust-domain', flags['trust-domain'], remedy),
    stateDir: required('--state-dir', flags['state-dir'], remedy),
  }
  return controllerConfigSchema.parse({ apiVersion: API_VERSION, kind: 'ControllerConfig', spec })
}
