import * as z from 'zod'

/** A field as documentation should have it. */
export interface SchemaField {
  /** Such as `spec.outbound[].listen`. */
  readonly field: string
  /** As written in YAML. */
  readonly default?: string
  /** Whether it must be there: always, or in every entry of its list. */
  readonly required: boolean
}

interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly default?: unknown
}

/** The leaves of a schema of mappings and lists, in its order. */
export function schemaFields(schema: z.ZodType): SchemaField[] {
  return leaves(z.toJSONSchema(schema, { io: 'input' }) as JsonSchema, '', true)
}

function leaves(schema: JsonSchema, path: string, sectionRequired: boolean): SchemaField[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const field = path === '' ? key : `${path}.${key}`
    const required = sectionRequired && (schema.required?.includes(key) ?? false)
    if (property.properties !== undefined) return leaves(property, field, required)
    const value = property.default
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const leaf: SchemaField = { field, required, ...(value === undefined ? {} : { default: text }) }
    const { items } = property
    return [leaf].concat(items === undefined ? [] : leaves(items, `${field}[]`, true))
  })
}
