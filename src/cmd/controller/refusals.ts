import { CaError, InsecureFileError } from '../../ca/errors.ts'
import { ConfigError } from '../../config/errors.ts'
import { messageOf } from '../../errors.ts'

/** Turns what an operator has to mend before a controller can start into the error that says so (exit code 2). */
export async function asConfigErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw configErrorOf(error) ?? error
  }
}

function configErrorOf(error: unknown): ConfigError | undefined {
  if (error instanceof InsecureFileError) {
    const { path, mode, expectedMode } = error
    const problem = {
      file: path,
      field: '',
      expected: `mode ${expectedMode}, because it holds secrets`,
      got: `mode ${mode}`,
      hint: `run: chmod ${expectedMode} '${path}'`,
    }
    return new ConfigError('CONFIG_INSECURE_PERMISSIONS', [problem], { cause: error })
  }
  if (error instanceof CaError && error.path !== undefined && error.code === 'CA_STORE_IO') {
    const problem = {
      file: error.path,
      field: '',
      expected: 'a file that can be used',
      got: messageOf(error.cause),
    }
    return new ConfigError('CONFIG_UNREADABLE', [problem], { cause: error })
  }
  return undefined
}
