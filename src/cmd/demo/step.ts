import type { World } from './world.ts'

/** Something that had to be so and was not. */
export interface Fault {
  readonly expected: string
  readonly got: string
}

/** What a step saw, and what it saw that it should not have. */
export class Evidence {
  readonly rows: (readonly [label: string, text: string])[] = []
  readonly faults: Fault[] = []
  #exhibit: string | undefined

  saw(label: string, text: string): void {
    this.rows.push([label, text])
  }

  /** @param got what came instead, in words */
  expect(held: boolean, expected: string, got: string): void {
    if (!held) this.faults.push({ expected, got })
  }

  /** A text that is laid out already, shown as it is. */
  set exhibit(text: string) {
    this.#exhibit = text
  }

  get exhibit(): string | undefined {
    return this.#exhibit
  }
}

/** How text is laid out, and what calls a step off. */
export interface StepContext {
  readonly evidence: Evidence
  readonly env: Readonly<Record<string, string | undefined>>
  readonly signal: AbortSignal
  readonly colour: boolean
  readonly width: number
}

/** One thing the demo shows. */
export interface Step {
  readonly title: string
  /** What is done, for the reader. */
  did(world: World): string
  /** What it means when everything held. */
  readonly proves: string
  run(world: World, context: StepContext): Promise<void>
}
