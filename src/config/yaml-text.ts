import { stringify } from 'yaml'

/** Columns after which a list or a text is broken. */
const LINE_WIDTH = 120

/** Values as a file of YAML documents. */
export function yamlDocuments(values: readonly unknown[]): string {
  return values
    .map((value) => stringify(value, { lineWidth: LINE_WIDTH, aliasDuplicateObjects: false }))
    .join('---\n')
}
