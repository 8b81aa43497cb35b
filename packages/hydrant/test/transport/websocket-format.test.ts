// Frames are made by hand, once for all: they must be those that `ws` itself would send.

import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { test } from 'node:test'
import { parseBinary } from 'hydrant-client/wire'
import * as ws from 'ws'
import { LogEvent, type CheckedEvent } from '../../src/hub/event.ts'
import { envelopeMessages, plainMessages, textFrame } from '../../src/transport/websocket-format.ts'

const BOUNDARIES = [0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, 80_000]
const TEXT = 0x1
const BINARY = 0x2

/** What `ws` sends with; not in its types. */
const { Sender } = ws as unknown as {
  readonly Sender: { frame(payload: Buffer, options: object): readonly Buffer[] }
}

function frameOfWs(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat(Sender.frame(payload, { fin: true, mask: false, opcode, readOnly: true, rsv1: false }))
}

function eventOf(data: string | Uint8Array): LogEvent {
  const event: CheckedEvent = { topic: 'a', type: 't', key: 'k', data }
  return new LogEvent('0123456789ab', 7, 0, event)
}

test('text and binary frames of every size equal those of ws', () => {
  const sizes = [...BOUNDARIES, ...Array.from({ length: 200 }, () => randomInt(0, 80_000))]
  for (const size of sizes) {
    const bytes = randomBytes(size)
    const text = bytes.toString('base64').slice(0, size)
    assert.ok(Buffer.from(plainMessages.event(eventOf(bytes))).equals(frameOfWs(BINARY, bytes)), `binary of ${size}`)
    assert.ok(
      Buffer.from(plainMessages.event(eventOf(text))).equals(frameOfWs(TEXT, Buffer.from(text))),
      `text of ${size}`,
    )
    assert.ok(Buffer.from(textFrame(text)).equals(frameOfWs(TEXT, Buffer.from(text))), `text frame of ${size}`)
  }
})

test('the length of a text frame counts bytes, not characters', () => {
  const text = 'é😀'.repeat(30)
  assert.ok(Buffer.from(textFrame(text)).equals(frameOfWs(TEXT, Buffer.from(text))))
})

test('an event with text is an envelope in a text frame, one with bytes a binary frame with the envelope before them', () => {
  const header = { id: '0123456789ab-7', topic: 'a', type: 't', key: 'k', time: '1970-01-01T00:00:00.000Z' }
  const json = JSON.stringify({ ...header, data: 'x\r\n' })
  assert.ok(Buffer.from(envelopeMessages.event(eventOf('x\r\n'))).equals(frameOfWs(TEXT, Buffer.from(json))))
  const bytes = randomBytes(300)
  const frame = Buffer.from(envelopeMessages.event(eventOf(bytes)))
  const payload = frame.subarray(4)
  assert.ok(frame.equals(frameOfWs(BINARY, payload)))
  assert.deepEqual(parseBinary(payload), { header, bytes })
})
