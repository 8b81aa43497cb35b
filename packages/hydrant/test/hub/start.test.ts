// Where streams start, and how requests say it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseLast, parseSince, type StartRequest } from '../../src/hub/start.ts'
import { QUIET_EPOCH, QuietHub } from '../support/quiet-hub.ts'

async function startOf(request: StartRequest): Promise<object> {
  const hub = new QuietHub({ windowBytes: 65_536 })
  await hub.publishTexts('a', Array.from({ length: 40 }, String), 3_000)
  await hub.clock.advance(60_000)
  await hub.publishTexts('b', ['later'])
  const { floor } = hub.window
  const { after, resumed, gap } = await hub.start(request, hub.select(['a']))
  const place = after === floor ? 'floor' : after === 41 ? 'head' : after
  return { place, ...(resumed ? { resumed } : {}), ...(gap === undefined ? {} : { gap: [gap.from, gap.reason] }) }
}

const TABLE: readonly (readonly [string, StartRequest, object])[] = [
  ['nothing is now', {}, { place: 'head' }],
  ['an id', { lastEventId: `${QUIET_EPOCH}-35` }, { place: 35, resumed: true }],
  ['the newest id', { lastEventId: `${QUIET_EPOCH}-41` }, { place: 'head', resumed: true }],
  [
    'an id from before the floor: the log judges it later',
    { lastEventId: `${QUIET_EPOCH}-2` },
    { place: 2, resumed: true },
  ],
  ['an id from before everything', { lastEventId: `${QUIET_EPOCH}-0` }, { place: 0, resumed: true }],
  [
    'an id that was never given',
    { lastEventId: `${QUIET_EPOCH}-42` },
    { place: 'head', resumed: true, gap: [`${QUIET_EPOCH}-42`, 'epoch'] },
  ],
  [
    'an id of another log',
    { lastEventId: 'bbbbbbbbbbbb-1' },
    { place: 'floor', resumed: true, gap: ['bbbbbbbbbbbb-1', 'epoch'] },
  ],
  ['no id at all', { lastEventId: 'x\ny' }, { place: 'floor', resumed: true, gap: ['x\ny', 'epoch'] }],
  ['an empty id', { lastEventId: '' }, { place: 'floor', resumed: true, gap: ['', 'epoch'] }],
  ['an id beats the others', { lastEventId: `${QUIET_EPOCH}-35`, last: 1 }, { place: 35, resumed: true }],
  ['the last of the selection', { last: 2 }, { place: 38 }],
  ['more than there are', { last: 1_000 }, { place: 'floor' }],
  ['the last none', { last: 0 }, { place: 'head' }],
  ['the earliest', { earliest: true }, { place: 'floor' }],
  ['not the earliest', { earliest: false }, { place: 'head' }],
  ['since the beginning', { sinceMs: 0 }, { place: 'floor' }],
  ['since a time in between', { sinceMs: Date.UTC(2026, 0, 1) + 1 }, { place: 40 }],
  ['since a time to come', { sinceMs: Date.UTC(2030, 0, 1) }, { place: 'head' }],
]

test('each way to say where to start leads to its place', async () => {
  for (const [name, request, expected] of TABLE) assert.deepEqual(await startOf(request), expected, name)
})

test('two places at once are refused', async () => {
  const places: readonly StartRequest[] = [{ sinceMs: 0 }, { last: 1 }, { earliest: true }]
  for (const one of places)
    for (const other of places)
      if (one !== other) await assert.rejects(startOf({ ...one, ...other }), { code: 'conflicting-start' })
})

test('an id that is not ours goes on from a gap that names it, and ends where the stream goes on', async () => {
  const hub = new QuietHub()
  await hub.publishTexts('a', [1, 2])
  const { gap } = await hub.start({ lastEventId: 'bbbbbbbbbbbb-1' }, hub.select(['a']))
  assert.deepEqual(gap, { from: 'bbbbbbbbbbbb-1', to: `${QUIET_EPOCH}-0`, reason: 'epoch', certain: false })
})

const NOW_MS = Date.UTC(2026, 5, 15, 12)

test('since is a duration back from now, or a time', () => {
  const table: readonly (readonly [string, number])[] = [
    ['500ms', NOW_MS - 500],
    ['90s', NOW_MS - 90_000],
    ['15m', NOW_MS - 900_000],
    ['2h', NOW_MS - 7_200_000],
    ['7d', NOW_MS - 604_800_000],
    ['0s', NOW_MS],
    ['2026-01-31', Date.UTC(2026, 0, 31)],
    ['2026-01-31T12:00:00Z', Date.UTC(2026, 0, 31, 12)],
    ['2026-01-31T12:00Z', Date.UTC(2026, 0, 31, 12)],
    ['2026-01-31T12:00:00.250+02:00', Date.UTC(2026, 0, 31, 10, 0, 0, 250)],
  ]
  for (const [text, expected] of table) assert.equal(parseSince(text, NOW_MS), expected, text)
})

test('what is neither is refused', () => {
  for (const text of [
    '',
    '90',
    's',
    '-90s',
    '1.5h',
    '90 s',
    '1w',
    '2026-13-01',
    'yesterday',
    '0x10s',
    '9999999999999s',
    '2026',
  ])
    assert.throws(() => parseSince(text, NOW_MS), { code: 'malformed-query' }, text)
})

test('last is a whole number', () => {
  assert.deepEqual(['0', '7', '999999999'].map(parseLast), [0, 7, 999_999_999])
  for (const text of ['', '-1', '1.5', '1e3', 'x', '9999999999', ' 1'])
    assert.throws(() => parseLast(text), { code: 'malformed-query' }, text)
})
