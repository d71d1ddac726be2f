import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type * as z from 'zod'
import { controllerConfigSchema } from '../../src/config/controller-config.ts'
import { parseYamlDocuments } from '../../src/config/parse.ts'
import { peerAuthenticationSchema } from '../../src/config/peer-authentication-config.ts'
import { authorizationPolicySchema } from '../../src/config/policy-config.ts'
import { authorizationDefaultSchema } from '../../src/config/policy-resource.ts'
import { requestAuthenticationSchema } from '../../src/config/request-authentication-config.ts'
import { proxyConfigSchema } from '../../src/config/proxy-config.ts'
import { type SchemaField, schemaFields } from './schema-fields.ts'

const page = (name: string): string => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8')

/** The part of the page under the heading, up to the next of the same level. */
function section(text: string, heading: string): string {
  const [, rest] = text.split(`\n## ${heading}\n`)
  assert.ok(rest !== undefined, `there is no heading "${heading}"`)
  return rest.split('\n## ')[0]!
}

/** The rows of the tables with a default column. */
function documentedFields(text: string): SchemaField[] {
  const rows = text.matchAll(
    /^\| `((?:apiVersion|kind|metadata|spec)[^`]*)` \| (?:`([^`]*)`|(required))? ?\|/gm,
  )
  return Array.from(rows, ([, field, value, required]) => ({
    field: field!,
    required: required !== undefined,
    ...(value === undefined ? {} : { default: value }),
  }))
}

function examples(text: string): string[] {
  return Array.from(text.matchAll(/^```yaml\n(.*?)^```$/gms), ([, example]) => example!)
}

const PAGES: Readonly<Record<string, { readonly text: string; readonly schema: z.ZodType }>> = {
  'docs/configuration.md, proxy.yaml': {
    text: section(page('configuration.md'), 'proxy.yaml'),
    schema: proxyConfigSchema,
  },
  'docs/configuration.md, controller.yaml': {
    text: section(page('configuration.md'), 'controller.yaml'),
    schema: controllerConfigSchema,
  },
  'docs/policy.md, AuthorizationPolicy': {
    text: section(page('policy.md'), 'AuthorizationPolicy'),
    schema: authorizationPolicySchema,
  },
  'docs/policy.md, AuthorizationDefault': {
    text: section(page('policy.md'), 'AuthorizationDefault'),
    schema: authorizationDefaultSchema,
  },
  'docs/policy.md, PeerAuthentication': {
    text: section(page('policy.md'), 'PeerAuthentication'),
    schema: peerAuthenticationSchema,
  },
  'docs/policy.md, RequestAuthentication': {
    text: section(page('policy.md'), 'RequestAuthentication'),
    schema: requestAuthenticationSchema,
  },
}

for (const [name, { text, schema }] of Object.entries(PAGES)) {
  test(`${name} lists exactly the fields of the schema, with their defaults`, () => {
    assert.deepEqual(documentedFields(text), schemaFields(schema))
  })

  test(`${name} has examples that are accepted`, () => {
    const texts = examples(text)
    assert.ok(texts.length > 0)
    for (const example of texts) parseYamlDocuments(example, { file: name, schema })
  })
}
