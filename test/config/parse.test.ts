import assert from 'node:assert/strict'
import test from 'node:test'
import * as fc from 'fast-check'
import * as z from 'zod'
import { ConfigError, formatProblem } from '../../src/config/errors.ts'
import { label, mapping, port } from '../../src/config/fields.ts'
import { parseJsonList, parseYaml, parseYamlDocuments, parseYamlLocated } from '../../src/config/parse.ts'

const schema = mapping({
  name: label,
  port: port.optional(),
  on: z.boolean().default(false),
  items: z.array(mapping({ name: label })).default([]),
  text: z.string().optional(),
})

function refusal(text: string): { readonly code: string; readonly lines: readonly string[] } | undefined {
  try {
    parseYaml(text, { file: 'f.yaml', schema })
    return undefined
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError)
    assert.deepEqual(thrown.message.split('\n').slice(0, 20), thrown.problems.slice(0, 20).map(formatProblem))
    return { code: thrown.code, lines: thrown.message.split('\n') }
  }
}

test('parseYaml reads what the schema accepts, defaults filled in', () => {
  assert.deepEqual(parseYaml('# a comment\nname: a\nport: 1\n', { file: 'f.yaml', schema }), {
    name: 'a',
    port: 1,
    on: false,
    items: [],
  })
  assert.equal(parseYaml('{"name": "json-is-yaml"}', { file: 'f.yaml', schema }).name, 'json-is-yaml')
})

test('parseYaml lists every problem with its line, in the order of the file', () => {
  assert.deepEqual(
    refusal('nam: x\nport: "1"\nitems:\n  - name: A\n  -\n  - { name: b, nane: c }\non: yes\n'),
    {
      code: 'CONFIG_INVALID',
      lines: [
        'f.yaml:1:1 name: expected a name of up to 63 lower-case letters, digits and inner hyphens, got nothing',
        'f.yaml:1:1 nam: expected one of the keys name, port, on, items, text, got an unknown key (did you mean "name"?)',
        'f.yaml:2:7 port: expected a port from 1 to 65535, got "1"',
        'f.yaml:4:11 items[0].name: expected a name of up to 63 lower-case letters, digits and inner hyphens, got "A"',
        'f.yaml:5:4 items[1]: expected a mapping, got nothing',
        'f.yaml:6:16 items[2].nane: expected one of the keys name, got an unknown key (did you mean "name"?)',
        'f.yaml:7:5 on: expected true or false, got "yes"',
      ],
    },
  )
})

test('parseYaml says what it got instead', () => {
  const cases = {
    'name: 5':
      'f.yaml:1:7 name: expected a name of up to 63 lower-case letters, digits and inner hyphens, got the number 5',
    'name: a\non: []': 'f.yaml:2:5 on: expected true or false, got an empty list',
    'name: a\non: [1]': 'f.yaml:2:5 on: expected true or false, got a list',
    'name: a\non: {}': 'f.yaml:2:5 on: expected true or false, got a mapping',
    'name: a\non:': 'f.yaml:2:1 on: expected true or false, got nothing',
    'name: a\nport: 1.5': 'f.yaml:2:7 port: expected a port from 1 to 65535, got the number 1.5',
    'name: a\nport: 65536': 'f.yaml:2:7 port: expected a port from 1 to 65535, got the number 65536',
    'name: a\nitems: x': 'f.yaml:2:8 items: expected a list, got "x"',
    'name: a\ntext: 1': 'f.yaml:2:7 text: expected text, got the number 1',
    'just text': 'f.yaml:1:1: expected a mapping, got "just text"',
    'name: a\nzzz: 1':
      'f.yaml:2:1 zzz: expected one of the keys name, port, on, items, text, got an unknown key',
    'name: a\n__proto__: {}':
      'f.yaml:2:1 __proto__: expected one of the keys name, port, on, items, text, got an unknown key',
    '': 'f.yaml: expected one YAML document, got none',
    '# nothing\n---\n': 'f.yaml: expected one YAML document, got none',
    'name: a\n---\nname: b': 'f.yaml: expected one YAML document, got 2',
  }
  for (const [text, line] of Object.entries(cases))
    assert.deepEqual(refusal(text), { code: 'CONFIG_INVALID', lines: [line] }, text)
  assert.match(refusal(`name: ${'A'.repeat(500)}`)!.lines[0]!, /got "A{79}…$/)
})

test('parseYaml shows no key or value as it is that could pass for something else', () => {
  assert.deepEqual(refusal('name: a\n"a\\nb \\e[2J": 1\n"": 2')?.lines, [
    'f.yaml:2:1 ["a\\nb \\u001b[2J"]: expected one of the keys name, port, on, items, text, got an unknown key',
    'f.yaml:3:1 [""]: expected one of the keys name, port, on, items, text, got an unknown key',
  ])
  assert.match(refusal('name: "\\u202e\\x9b"')!.lines[0]!, /got "\\u\{202e\}\\u\{9b\}"$/)
})

test('parseYaml refuses what is not YAML 1.2, and names the line', () => {
  const cases = {
    'name: a\nname: b': 'f.yaml:2:1 name: expected each key once, got this one again',
    'items:\n  - name: a\n    name: b':
      'f.yaml:3:5 items[0].name: expected each key once, got this one again',
    'items:\n\t- name: a': 'f.yaml:2:1 items: expected spaces as indentation, got a tab',
    '? [a]\n: b': 'f.yaml:1:3: expected plain text as a key, got something else',
    'name: !!js/function x':
      'f.yaml:1:7 name: expected YAML 1.2, got what its parser refuses: Unresolved tag: tag:yaml.org,2002:js/function',
    'name: "a': 'f.yaml:1:9 name: expected YAML 1.2, got what its parser refuses: Missing closing "quote',
    'name: *a': 'f.yaml: expected at most 64 uses of anchors, got more',
  }
  for (const [text, line] of Object.entries(cases)) {
    const refused = refusal(text)
    assert.equal(refused?.code, 'CONFIG_SYNTAX', text)
    assert.equal(refused?.lines[0], line, text)
  }
})

test('parseYaml keeps to YAML 1.2 whatever a directive says', () => {
  assert.equal(
    refusal('%YAML 1.1\n---\nname: a\non: yes\n')?.lines[0],
    'f.yaml:4:5 on: expected true or false, got "yes"',
  )
  assert.equal(
    refusal('name: a\n<<: { port: 1 }')?.lines[0],
    'f.yaml:2:1 ["<<"]: expected one of the keys name, port, on, items, text, got an unknown key',
  )
})

test('parseYaml bounds size, nesting and aliases', () => {
  assert.deepEqual(refusal(`#${'é'.repeat(524_288)}`), {
    code: 'CONFIG_SYNTAX',
    lines: ['f.yaml: expected at most 1048576 bytes, got 1048577'],
  })
  const nested = refusal('['.repeat(100_000))!
  assert.match(nested.lines[0]!, /^f\.yaml:1:\d+ (?:\[0\]){16}: expected nesting of a sane depth, got more$/)
  // Mappings within mappings on one line bring the parser itself to the end of its stack.
  const compact = refusal(`items:\n  - nam${'e: catal'.repeat(20_000)}\n    on: 1\ntext: a`)!
  assert.equal(compact.code, 'CONFIG_SYNTAX')
  assert.equal(nested.lines.length, 21)
  assert.match(nested.lines[20]!, /^… and \d+ more$/)

  const laughs = Array.from({ length: 9 }, (_, level) => {
    const aliases = Array.from({ length: 9 }, () => (level === 0 ? 'ha' : `*l${level - 1}`)).join(', ')
    return `l${level}: &l${level} [${aliases}]`
  })
  assert.deepEqual(refusal(laughs.join('\n')), {
    code: 'CONFIG_SYNTAX',
    lines: ['f.yaml: expected at most 64 uses of anchors, got more'],
  })
})

test('parseYaml follows an alias to the line of what it stands for', () => {
  assert.deepEqual(refusal('items: [&a { name: B }]\nname: a\ntext: *a')?.lines, [
    'f.yaml:1:20 items[0].name: expected a name of up to 63 lower-case letters, digits and inner hyphens, got "B"',
    'f.yaml:3:7 text: expected text, got a mapping',
  ])
  assert.deepEqual(refusal('on: &a [{ name: B }]\nitems: *a\nname: a')?.lines, [
    'f.yaml:1:8 on: expected true or false, got a list',
    'f.yaml:1:17 items[0].name: expected a name of up to 63 lower-case letters, digits and inner hyphens, got "B"',
  ])
})

test('parseYaml answers any text with a value or a ConfigError', () => {
  const line = fc.constantFrom(
    'name: a',
    'port: 1',
    'items:',
    '  - name: b',
    '---',
    '...',
    '&x a',
    '*x',
    '? ',
    ': ',
    '|',
    '>-',
    '"',
    '{',
    ']',
    '%TAG',
    '!t',
    '\t',
    '# c',
    '<<: *x',
  )
  const text = fc.oneof(
    fc.array(line, { maxLength: 8 }).map((lines) => lines.join('\n')),
    fc.string({ unit: 'binary', maxLength: 60 }),
  )
  fc.assert(
    fc.property(text, (text) => {
      refusal(text)
    }),
    { numRuns: 2_000 },
  )
})

test('parseYamlDocuments reads all documents, or none, and refuses all for one', () => {
  const options = { file: 'f.yaml', schema }
  assert.deepEqual(parseYamlDocuments('', options), [])
  assert.deepEqual(
    parseYamlDocuments('---\nname: a\n---\n# empty\n---\nname: b\n...\n', options).map(({ name }) => name),
    ['a', 'b'],
  )
  assert.throws(() => parseYamlDocuments('name: a\n---\nname: B\n---\nname: C', options), {
    message: /^f\.yaml:3:7 name: .*\nf\.yaml:5:7 name: .*$/,
  })
})

test('Located.problem finds the line of a field, or of what should have had it', () => {
  const located = parseYamlLocated('name: a\nitems:\n  - name: b\n', { file: 'f.yaml', schema })
  const found = { expected: 'a file that exists', got: '"b", which does not' }
  assert.equal(
    formatProblem(located.problem(['items', 0, 'name'], found)),
    'f.yaml:3:11 items[0].name: expected a file that exists, got "b", which does not',
  )
  assert.equal(located.problem(['items', 0, 'file'], found).line, 3)
  assert.equal(located.problem(['port'], found).line, 1)
})

test('parseJsonList names the entry and field that is wrong', () => {
  const options = { file: 'list', schema }
  assert.equal(parseJsonList('[{"name":"a"}]', options)[0]?.name, 'a')
  assert.throws(() => parseJsonList('[{"name":"a"},{"name":"b","port":0}]', options), {
    code: 'CONFIG_INVALID',
    message: 'list [1].port: expected a port from 1 to 65535, got the number 0',
  })
  assert.throws(() => parseJsonList('{}', options), {
    code: 'CONFIG_INVALID',
    message: 'list: expected a list, got a mapping',
  })
  assert.throws(() => parseJsonList('[', options), { code: 'CONFIG_SYNTAX' })
})

test('parseYaml names every mistake of a file, however many there are', () => {
  const options = { file: 'f.yaml', schema: mapping({}) }
  // More than a call takes arguments.
  const count = 130_000
  assert.throws(
    () => parseYaml('k:\n'.repeat(count), options),
    (error: ConfigError) => {
      assert.equal(error.code, 'CONFIG_SYNTAX')
      assert.equal(error.problems.length, count - 1)
      return true
    },
  )
  const unknown = Array.from({ length: count }, (_, index) => `${index.toString(36)}:`).join('\n')
  assert.throws(
    () => parseYaml(unknown, options),
    (error: ConfigError) => {
      assert.equal(error.code, 'CONFIG_INVALID')
      assert.equal(error.problems.length, count)
      assert.deepEqual([error.problems[0]!.line, error.problems.at(-1)!.line], [1, count])
      return true
    },
  )
})
