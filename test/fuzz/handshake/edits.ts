/** What a peer that means ill, or is broken, makes of its flight: from single bits to well-formed nonsense. */
import { concat } from '../../../src/bytes/bytes.ts'
import { ContentType, ExtensionType, HandshakeType } from '../../../src/tls/registry.ts'
import { mutate, MUTATION_NAMES, type Random } from '../../support/mutations.ts'
import { mutateBytes } from '../byte-mutator.ts'
import { changeExtensions, changeInnerExtensions, type RawExtension } from './extensions.ts'
import { bodyOf, messageOf, putTogether, takeApart, type Segment } from './flight.ts'

const HANDSHAKE_TYPES = [...Object.values(HandshakeType), 0, 3, 25, 67, 99]
const CONTENT_TYPES = [...Object.values(ContentType), 24, 255]
const EXTENSION_TYPES = [...Object.values(ExtensionType), 0x0a0a, 0x1234, 0xffff]

/** Bodies that are whole messages of some type, or nearly. */
const SMALL_BODIES = ['', '00', '01', '02', '0000', '000000', '00000000', '0403000100', 'ff'].map((hex) =>
  Uint8Array.fromHex(hex),
)

/** Records that stand for themselves: change_cipher_spec, alerts, data. */
const LONE_RECORDS: readonly (readonly [type: number, content: string])[] = [
  [ContentType.change_cipher_spec, '01'],
  [ContentType.change_cipher_spec, '00'],
  [ContentType.change_cipher_spec, '0101'],
  [ContentType.alert, '0100'],
  [ContentType.alert, '015a'],
  [ContentType.alert, '0228'],
  [ContentType.alert, '01'],
  [ContentType.alert, '0300'],
  [ContentType.application_data, ''],
  [ContentType.application_data, '64617461'],
  [ContentType.handshake, ''],
  [ContentType.handshake, '18000001'],
  [ContentType.handshake, '1800000100'],
  [ContentType.handshake, '1800000101'],
]

type SegmentEdit = (segments: Segment[], random: Random) => void

/** Every edit, by its number in a script. */
const EDITS: readonly ((flight: Uint8Array, random: Random) => Uint8Array<ArrayBuffer>)[] = [
  ...MUTATION_NAMES.map((name) => (flight: Uint8Array, random: Random) => mutate(name, flight, random)),
  ...(
    [
      onMessages((messages, at) => messages.splice(at, 1)),
      onMessages((messages, at) => messages.splice(at, 0, messages[at]!)),
      onMessages(function swap(messages, at, random) {
        const to = random(messages.length)
        ;[messages[at], messages[to]] = [messages[to]!, messages[at]!]
      }),
      onMessages(function insert(messages, at, random) {
        const body =
          random(2) === 0
            ? SMALL_BODIES[random(SMALL_BODIES.length)]!
            : bodyOf(messages[random(messages.length)]!)
        messages.splice(at + random(2), 0, messageOf(oneOf(HANDSHAKE_TYPES, random), body))
      }),
      onMessages(function retype(messages, at, random) {
        messages[at] = concat(Uint8Array.of(oneOf(HANDSHAKE_TYPES, random)), messages[at]!.subarray(1))
      }),
      onMessages(changeBody),
      onMessages(changeBody),
      onMessages(function lie(messages, at, random) {
        const message = messages[at]!.slice()
        message[1 + random(3)]! += 1 + random(255)
        messages[at] = message
      }),
      onExtensions((extensions, at) => extensions.splice(at, 1)),
      onExtensions((extensions, at) => extensions.splice(at, 0, extensions[at]!)),
      onExtensions(function swap(extensions, at, random) {
        const to = random(extensions.length)
        ;[extensions[at], extensions[to]] = [extensions[to]!, extensions[at]!]
      }),
      onExtensions(function retype(extensions, at, random) {
        extensions[at] = { ...extensions[at]!, type: oneOf(EXTENSION_TYPES, random) }
      }),
      onExtensions(changeContents),
      onExtensions(changeContents),
      onExtensions(function insert(extensions, at, random) {
        const contents =
          random(2) === 0
            ? SMALL_BODIES[random(SMALL_BODIES.length)]!
            : extensions[random(extensions.length)]!.contents
        extensions.splice(at + random(2), 0, { type: oneOf(EXTENSION_TYPES, random), contents })
      }),
      function insertRecord(segments, random) {
        const [type, content] = LONE_RECORDS[random(LONE_RECORDS.length)]!
        const at = random(segments.length + 1)
        const mark = random(4) === 0 ? undefined : segments[Math.max(0, at - 1)]!.mark
        segments.splice(at, 0, { type, mark, units: [Uint8Array.fromHex(content)] })
      },
      function retypeSegment(segments, random) {
        const at = random(segments.length)
        segments[at] = { ...segments[at]!, type: oneOf(CONTENT_TYPES, random) }
      },
      function protectOtherwise(segments, random) {
        const at = random(segments.length)
        const other = segments[random(segments.length)]!.mark
        segments[at] = { ...segments[at]!, mark: other === segments[at]!.mark ? undefined : other }
      },
      function flood(segments, random) {
        const [type, content] = LONE_RECORDS[random(LONE_RECORDS.length)]!
        const { mark } = segments.at(-1)!
        const unit = Uint8Array.fromHex(content)
        for (let i = 0; i < 40; i++) segments.push({ type, mark, units: [unit] })
      },
    ] satisfies SegmentEdit[]
  ).map(onSegments),
]

/** How many edits there are. */
export const EDIT_COUNT: number = EDITS.length

/** One edit of a flight that is not empty; a flight that it does not suit stays as it is. */
export function edit(number: number, flight: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  return EDITS[number % EDIT_COUNT]!(flight, random)
}

function onSegments(change: SegmentEdit): (flight: Uint8Array, random: Random) => Uint8Array<ArrayBuffer> {
  return (flight, random) => {
    const segments = takeApart(flight)
    if (segments === undefined || segments.length === 0) return new Uint8Array(flight)
    change(segments, random)
    return putTogether(segments)
  }
}

function onMessages(change: (messages: Uint8Array[], at: number, random: Random) => unknown): SegmentEdit {
  return (segments, random) => {
    const handshakes = segments.filter(
      ({ type, units }) => type === ContentType.handshake && units.length > 0,
    )
    if (handshakes.length === 0) return
    const { units } = handshakes[random(handshakes.length)]!
    change(units, random(units.length), random)
  }
}

function onExtensions(
  change: (extensions: RawExtension[], at: number, random: Random) => unknown,
): SegmentEdit {
  return onMessages((messages, start, random) => {
    // The next message that has extensions.
    for (let i = 0; i < messages.length; i++) {
      const at = (start + i) % messages.length
      const changeThem = (extensions: RawExtension[]): void => {
        if (extensions.length > 0) change(extensions, random(extensions.length), random)
      }
      const inside = random(2) === 0 ? changeInnerExtensions(messages[at]!, changeThem) : messages[at]!
      const changed = inside === messages[at] ? changeExtensions(messages[at], changeThem) : inside
      if (changed === messages[at]) continue
      messages[at] = changed
      return
    }
  })
}

function changeBody(messages: Uint8Array[], at: number, random: Random): void {
  const message = messages[at]!
  const other = bodyOf(messages[random(messages.length)]!)
  messages[at] = messageOf(message[0]!, mutateBytes(bodyOf(message), other, random))
}

function changeContents(extensions: RawExtension[], at: number, random: Random): void {
  const extension = extensions[at]!
  const other = extensions[random(extensions.length)]!.contents
  // A list of extensions has no room for more.
  const contents = mutateBytes(extension.contents, other, random).subarray(0, 8192)
  extensions[at] = { ...extension, contents }
}

function oneOf(numbers: readonly number[], random: Random): number {
  return numbers[random(numbers.length)]!
}
