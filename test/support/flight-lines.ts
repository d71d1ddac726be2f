/** Lines of a flight log, of every shape. */
import * as fc from 'fast-check'
import type { FlightDecision, FlightLine, FlightRequest } from '../../src/authz/flight/flight-line.ts'

/** A line of any kind. */
export function flightLines(): fc.Arbitrary<FlightLine> {
  return fc.oneof(
    flightDecisions(),
    record({ kind: fc.constant('lost' as const), count: fc.nat() }),
    record(
      { kind: fc.constant('policy' as const), atMs: times(), revision: fc.string() },
      { stateNumber: fc.nat() },
    ),
    record(
      {
        kind: fc.constant('proxy' as const),
        atMs: times(),
        trustDomain: fc.string(),
        listeners: fc.array(
          record({
            name: fc.string(),
            port: ports(),
            protocol: fc.constantFrom('http' as const, 'tcp' as const),
          }),
          { maxLength: 3 },
        ),
      },
      { spiffeId: fc.string(), workload: workloads() },
    ),
  )
}

/** A decision. */
function flightDecisions(
  requests: fc.Arbitrary<FlightRequest> = flightRequests(),
): fc.Arbitrary<FlightDecision> {
  return record(
    {
      kind: fc.constant('decision' as const),
      atMs: times(),
      id: fc.string(),
      thread: fc.nat(63),
      seq: fc.nat(),
      connection: fc.nat(),
      listener: fc.string(),
      request: requests,
      ...verdicts(),
      reason: fc.string(),
      revision: fc.string(),
    },
    {
      policy: fc.string(),
      rule: fc.nat(),
      again: fc.constant(true as const),
      trial: record(verdicts(), { policy: fc.string(), rule: fc.nat() }),
      audits: fc.array(record({ policy: fc.string(), rule: fc.nat() }), { maxLength: 3 }),
    },
  )
}

function verdicts() {
  return { verdict: fc.constantFrom('permit' as const, 'denial' as const), cause: fc.string() }
}

function flightRequests(): fc.Arbitrary<FlightRequest> {
  return record(
    { peer: fc.string(), workload: workloads(), port: ports() },
    {
      source: record({ address: fc.ipV6(), port: ports() }),
      sni: fc.string(),
      alpn: fc.string(),
      group: fc.string(),
      http: record(
        { method: fc.string(), path: fc.string(), template: fc.string() },
        {
          host: fc.string(),
          headers: named(shown(fc.array(fc.string(), { maxLength: 3 }))),
          requestPrincipal: fc.option(fc.string()),
          claims: named(shown(claimValues())),
        },
      ),
    },
  )
}

function workloads() {
  return record({ namespace: fc.string(), serviceAccount: fc.string() })
}

/** What JSON has, but null and what is taken for hidden. */
function claimValues() {
  return fc.oneof(
    fc.string(),
    fc.boolean(),
    fc.integer(),
    fc.array(fc.string(), { maxLength: 3 }),
    fc.record({ inner: fc.string() }, { noNullPrototype: true }),
  )
}

function named<T>(value: fc.Arbitrary<T>) {
  return fc.dictionary(fc.string(), value, { noNullPrototype: true })
}

function shown<T>(value: fc.Arbitrary<T>) {
  return fc.oneof(value, fc.constant(null), fc.constant({ hidden: true as const }))
}

function times(): fc.Arbitrary<number> {
  return fc.integer({ min: 0, max: 4_102_444_800_000 })
}

function ports(): fc.Arbitrary<number> {
  return fc.nat(65_535)
}

/** With all of the first fields and any of the second. */
function record<A, B>(
  all: { [Name in keyof A]: fc.Arbitrary<A[Name]> },
  some: { [Name in keyof B]: fc.Arbitrary<B[Name]> } = {} as never,
): fc.Arbitrary<A & Partial<B>> {
  const requiredKeys = Object.keys(all)
  const model: Record<string, fc.Arbitrary<unknown>> = { ...all, ...some }
  return fc.record(model, { requiredKeys, noNullPrototype: true }) as unknown as fc.Arbitrary<A & Partial<B>>
}
