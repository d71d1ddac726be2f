import { FLIGHT_VERSION, type FlightLine } from './flight-line.ts'

/** One line, with its line feed. */
export function encodeFlightLine(line: FlightLine): string {
  // The time for people and programs alike; the rest of a line as it is.
  const { kind, ...rest } = line
  if (!('atMs' in rest)) return `${JSON.stringify({ v: FLIGHT_VERSION, kind, ...rest })}\n`
  const { atMs, ...fields } = rest
  return `${JSON.stringify({ v: FLIGHT_VERSION, kind, at: new Date(atMs).toISOString(), ...fields })}\n`
}
