import { utf8 } from '../../../src/bytes/bytes.ts'
import { FlightLogError } from '../../../src/authz/errors.ts'
import { decodeFlightLine } from '../../../src/authz/flight/decode.ts'
import { encodeFlightLine } from '../../../src/authz/flight/encode.ts'
import { isDeepStrictEqual } from 'node:util'
import { outcomeOf, Violation, type FuzzTarget } from '../target.ts'

/** Files of decisions that operators keep, and others may have written to. What is read is what would be written. */
export function flightLogTargets(): readonly FuzzTarget[] {
  return [
    {
      name: 'flight-log',
      seeds: LINES.map((line) => utf8(JSON.stringify(line))),
      run: (input) =>
        outcomeOf(() => {
          const line = decodeFlightLine(new TextDecoder().decode(input))
          if (!isDeepStrictEqual(decodeFlightLine(encodeFlightLine(line)), line))
            throw new Violation('A line does not survive being written')
          return `line: ${line.kind}`
        }, FlightLogError),
    },
  ]
}

const AT = '2026-01-31T12:00:00.000Z'
const WORKLOAD = { namespace: 'shop', serviceAccount: 'catalog' }

const LINES = [
  { v: 1, kind: 'lost', count: 3 },
  { v: 1, kind: 'policy', at: AT, revision: '0123456789abcdef', stateNumber: 7 },
  {
    v: 1,
    kind: 'proxy',
    at: AT,
    spiffeId: 'spiffe://example.org/ns/shop/sa/catalog',
    workload: WORKLOAD,
    trustDomain: 'example.org',
    listeners: [{ name: 'in', port: 15006, protocol: 'http' }],
  },
  {
    v: 1,
    kind: 'decision',
    at: AT,
    id: '0123456789abcdef0123',
    thread: 0,
    seq: 1,
    connection: 1,
    listener: 'in',
    request: {
      peer: 'spiffe://example.org/ns/shop/sa/web',
      workload: WORKLOAD,
      port: 15006,
      source: { address: '10.0.0.1', port: 40000 },
      sni: 'catalog',
      alpn: 'h2',
      group: 'X25519MLKEM768',
      http: {
        method: 'GET',
        path: '/items/7',
        template: '/items/{id}',
        host: 'catalog',
        headers: { 'x-tier': ['gold'], 'x-none': null, cookie: { hidden: true } },
        requestPrincipal: 'https://issuer.example/alice',
        claims: { groups: ['a', 'b'], nested: { deep: 1 } },
      },
    },
    verdict: 'denial',
    cause: 'no-matching-rule',
    reason: 'no rule matches',
    policy: 'shop/catalog',
    rule: 0,
    revision: '0123456789abcdef',
    again: true,
    trial: { verdict: 'permit', cause: 'allowed', policy: 'shop/trial', rule: 1 },
    audits: [{ policy: 'shop/audit', rule: 0 }],
  },
]
