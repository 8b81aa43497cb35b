// The tables of docs/ say what the code says.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { CLOSE_CODES, CONTROL_TYPES, isReconnectable, PROBLEMS } from 'hydrant-client/wire'
import { createHub } from '../../src/index.ts'
import { checkKeys, parseSubscribe } from '../../src/http/query.ts'
import { LIMITS } from '../../src/hub/limits.ts'
import { metricsText } from '../../src/metrics/metrics.ts'
import { loadConfiguration } from '../../src/server/configuration.ts'
import { refusalText } from '../../src/server/refusal.ts'
import { flagOf, SETTINGS, variableOf } from '../../src/server/settings.ts'
import { codeOf, Page } from '../support/markdown.ts'

const operate = new Page('operate.md')
const reference = new Page('reference.md')

test('the table of limits has every limit, with its unit, its bounds and its reason', () => {
  const expected = Object.entries(LIMITS).map(([name, { unit, default: value, min, reason }]) => [
    `\`${name}\``,
    unit,
    value.toLocaleString('en-US'),
    min.toLocaleString('en-US'),
    reason,
  ])
  assert.deepEqual(operate.table('limit'), expected)
})

test('the table of metrics has every metric that there is, with its kind', async () => {
  const hub = createHub()
  await hub.ready
  const families = metricsText(hub).matchAll(/^# TYPE (\S+) (\S+)$/gm)
  const expected = Array.from(families, ([, name, kind]) => [name, kind])
  await hub.close()
  assert.deepEqual(
    operate.table('metric').map(([name, kind]) => [codeOf(name), kind]),
    expected,
  )
})

test('the table of reasons has every reason for which the server ends a connection', () => {
  const counters = readFileSync(new URL('../../src/hub/counters.ts', import.meta.url), 'utf8')
  const union = /export type EndReason =([\s\S]*?)\n\n/.exec(counters)?.[1] ?? ''
  const expected = Array.from(union.matchAll(/'([\w-]+)'/g), ([, reason]) => reason ?? '')
  assert.ok(expected.length > 1)
  const documented = operate.table('reason').map(([reason]) => codeOf(reason))
  assert.deepEqual(documented.toSorted(), expected.filter((reason) => reason !== 'garbage').toSorted())
})

test('the table of problems has every code, with its status and title', () => {
  const expected = Object.entries(PROBLEMS).map(([code, { status, title }]) => [`\`${code}\``, String(status), title])
  const rows = reference.table('code').map((row) => row.slice(0, 3))
  assert.deepEqual(rows, expected)
})

test('the three refusals below HTTP are what the server answers', () => {
  const sentence = /What is no HTTP at all[\s\S]*?\n\n/.exec(reference.text)?.[0] ?? ''
  for (const code of ['malformed-request', 'head-too-large', 'request-timeout'] as const) {
    const status = /^HTTP\/1\.1 (\d+)/.exec(refusalText(code))?.[1] ?? ''
    assert.match(sentence, new RegExp(`\`${code}\`\\s+\\(${status}`))
  }
})

test('the table of close codes has every code, its name, and whether to come back', () => {
  const expected = Object.entries(CLOSE_CODES).map(([reason, code]) => [
    String(code),
    `\`${reason}\``,
    isReconnectable(code) ? 'yes' : 'no',
  ])
  const rows = reference.table('close code').map((row) => row.slice(0, 3))
  assert.deepEqual(rows, expected)
})

test('the table of settings has every setting, with its flag, variable, default and meaning', () => {
  const expected = Object.entries(SETTINGS).map(([key, { default: value, description }]) => [
    `\`${key}\``,
    `\`--${flagOf(key)}\``,
    `\`${variableOf(key)}\``,
    defaultOf(value),
    description,
  ])
  assert.deepEqual(reference.table('key in the file'), expected)
})

test('every config file that is shown can be loaded', () => {
  const shown = [operate, reference].flatMap((page) => page.blocks('json'))
  assert.ok(shown.length >= 3)
  for (const { text } of shown) assert.doesNotThrow(() => loadConfiguration({ readFile: () => text }))
})

test('the table of keys of a rule of retention has every key', () => {
  const source = readFileSync(new URL('../../src/engine/file-retention.ts', import.meta.url), 'utf8')
  const rule = /export interface RetentionRule \{([\s\S]*?)\n\}/.exec(source)?.[1] ?? ''
  const expected = Array.from(rule.matchAll(/readonly (\w+)\??:/g), ([, name]) => name ?? '')
  assert.ok(expected.length > 1)
  assert.deepEqual(
    reference.table('in a rule').map(([key]) => codeOf(key)),
    expected,
  )
})

test('the table of query keys has every key, and no other', () => {
  const documented = reference.table('key').map(([key]) => codeOf(key))
  const query = new URLSearchParams('nonsense=1')
  const known = messageOf(() => parseSubscribe('/events/a', query, undefined, 0))
  assert.equal(
    known,
    messageOf(() => checkKeys(query, documented)),
  )
})

test('the table of options has every option of createHub', () => {
  const source = readFileSync(new URL('../../src/create-hub.ts', import.meta.url), 'utf8')
  const options = /export interface HubOptions\b.*\{([\s\S]*?)\n\}/.exec(source)?.[1] ?? ''
  const expected = Array.from(options.matchAll(/readonly (\w+)\?:/g), ([, name]) => name ?? '')
  assert.ok(expected.length > 1)
  const documented = new Page('embed.md').table('option').map(([name]) => codeOf(name))
  assert.deepEqual(documented.toSorted(), expected.toSorted())
})

test('the table of our own events has every one', () => {
  assert.deepEqual(
    reference.table('event').map(([type]) => codeOf(type)),
    [
      CONTROL_TYPES.open,
      CONTROL_TYPES.gap,
      CONTROL_TYPES.position,
      CONTROL_TYPES.bye,
      CONTROL_TYPES.live,
      CONTROL_TYPES.end,
    ],
  )
  assert.equal(reference.table('event').length, Object.keys(CONTROL_TYPES).length)
})

function defaultOf(value: unknown): string {
  if (value === '' || Array.isArray(value)) return 'none'
  return `\`${typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)}\``
}

function messageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  return 'nothing was refused'
}
