import { readControllerConfig } from '../controller/settings.ts'
import { UsageError } from '../errors.ts'

/** The state directory that the flags name, themselves or by a configuration. @throws UsageError, ConfigError */
export async function stateDirOf(flags: {
  readonly config?: string | undefined
  readonly 'state-dir'?: string | undefined
}): Promise<string> {
  const stateDir = flags['state-dir']
  if (stateDir !== undefined) return stateDir
  if (flags.config === undefined)
    throw new UsageError('--state-dir: expected a directory, or --config FILE, got nothing')
  return (await readControllerConfig({ config: flags.config })).stateDir
}
