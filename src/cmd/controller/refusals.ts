import { CaError, InsecureFileError } from '../../ca/errors.ts'
import { type Address, formatAddress } from '../../config/address.ts'
import { ConfigError } from '../../config/errors.ts'
import { messageOf } from '../../errors.ts'
import { NetError } from '../../net/errors.ts'

/** Turns what an operator has to mend before a controller can start into the error that says so (exit code 2). */
export async function asConfigErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw configErrorOf(error) ?? error
  }
}

/** The refusal of an address that another program has, in terms of the configuration; other errors as they are. */
export function asTakenAddress(
  error: unknown,
  { address, field, hint }: { readonly address: Address; readonly field: string; readonly hint: string },
): unknown {
  if (!(error instanceof NetError) || error.code !== 'NET_ADDRESS_IN_USE') return error
  const problem = {
    file: 'controller',
    field,
    expected: 'a free address',
    got: `${formatAddress(address)}, which another program listens on`,
    hint,
  }
  return new ConfigError('CONFIG_PORT_IN_USE', [problem], { cause: error })
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
