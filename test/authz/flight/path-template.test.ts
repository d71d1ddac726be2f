import assert from 'node:assert/strict'
import test from 'node:test'
import { judgedPart, pathTemplate } from '../../../src/authz/flight/path-template.ts'

test('pathTemplate replaces what looks like an identifier, and no words', () => {
  for (const [path, template] of [
    ['/', '/'],
    ['*', '*'],
    ['/orders/17', '/orders/{id}'],
    ['/orders/17/lines/3/', '/orders/{id}/lines/{id}/'],
    ['/users/3F2504E0-4F89-11D3-9A0C-0305E82C3301', '/users/{id}'],
    ['/objects/01ARZ3NDEKTSV4RRFFQ69G5FAV', '/objects/{id}'],
    ['/blobs/deadbeefdeadbeef', '/blobs/{id}'],
    ['/api/v1/internationalization-settings', '/api/v1/internationalization-settings'],
    ['/v2', '/v2'],
    ['/a%2Fb/17', '/a%2Fb/17'],
  ] as const)
    assert.equal(pathTemplate(path), template)
})

test('judgedPart cuts the query off, and leaves a mark of the fragment that makes a target ambiguous', () => {
  assert.equal(judgedPart('/a/b?token=1'), '/a/b')
  assert.equal(judgedPart('/a?b#c'), '/a#')
  assert.equal(judgedPart('/a#b'), '/a#')
  assert.equal(judgedPart('http://shop/a?b'), 'http://shop/a')
})
