import { readFileSync } from 'node:fs'

/** USER_HZ, which is 100 on every Linux that Node runs on. */
const CLOCK_TICKS_PER_SECOND = 100

/** Processor time that a process has used, user and system, in seconds; undefined where there is no /proc. */
export function cpuSeconds(pid: number): number | undefined {
  const stat = readProc(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The name in parentheses may hold anything; what follows it are numbers (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
}

/** Memory of a process in MiB. */
export interface Memory {
  /** All that is in RAM, shared libraries included (RSS). */
  readonly residentMiB: number
  /** What would be free without this process (USS). */
  readonly privateMiB: number
}

/** undefined where there is no /proc/PID/smaps_rollup. */
export function memoryOf(pid: number): Memory | undefined {
  const text = readProc(`/proc/${pid}/smaps_rollup`)
  if (text === undefined) return undefined
  const mebibytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN) / 1024
  return {
    residentMiB: mebibytes('Rss'),
    privateMiB: mebibytes('Private_Clean') + mebibytes('Private_Dirty'),
  }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
