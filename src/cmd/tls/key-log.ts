import { closeSync, fstatSync, openSync, writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { ConfigError } from '../../config/errors.ts'
import { messageOf } from '../../errors.ts'
import { checkPrivate } from '../files.ts'

/** A file that session secrets are appended to. */
export interface KeyLog extends Disposable {
  readonly write: (line: string) => void
}

/** Only the owner may read what decrypts the traffic. */
const KEY_LOG_MODE = 0o600

/**
 * Opens a key log, created for its owner alone, and says on `stderr` that it is on.
 *
 * @throws ConfigError CONFIG_UNREADABLE, CONFIG_INSECURE_PERMISSIONS
 */
export function openKeyLog(path: string, stderr: Writable): KeyLog {
  const file = { path, field: '--keylog' }
  const descriptor = openForAppending(path)
  try {
    checkPrivate(file, fstatSync(descriptor).mode)
  } catch (thrown) {
    closeSync(descriptor)
    throw thrown
  }
  stderr.write(`handfast: Warning: session secrets go to ${path}; whoever reads it can decrypt the traffic\n`)
  return {
    // At once and whole, so that a capture running beside it can follow.
    write: (line) => {
      writeSync(descriptor, line.endsWith('\n') ? line : `${line}\n`)
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  }
}

function openForAppending(path: string): number {
  try {
    return openSync(path, 'a', KEY_LOG_MODE)
  } catch (cause) {
    const problem = { file: path, field: '--keylog', expected: 'a file to append to', got: messageOf(cause) }
    throw new ConfigError('CONFIG_UNREADABLE', [problem], { cause })
  }
}
