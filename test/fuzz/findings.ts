import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Finding } from './campaign.ts'

/** Keeps a finding as a file of its own, and tells its name. */
export function writeFinding(folder: string, finding: Finding): string {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${finding.target}-${fingerprint(finding.problem + finding.input)}.json`)
  writeFileSync(path, `${JSON.stringify(finding, undefined, 2)}\n`)
  return path
}

/** @throws Error for a file that holds no finding */
export function readFinding(path: string): Finding {
  const { target, problem, input, seed } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Finding>
  if (typeof target !== 'string' || typeof input !== 'string') throw new Error(`${path} holds no finding`)
  return { target, problem: problem ?? '', input, seed: seed ?? 0 }
}

/** FNV-1a: findings differ in their names, and the same one found twice does not. */
function fingerprint(text: string): string {
  let hash = 0x811c_9dc5
  for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x0100_0193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}
