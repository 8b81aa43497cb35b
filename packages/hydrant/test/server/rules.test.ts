// Settings that are lists of rules: what they may say, and what is said of those that cannot be used.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigurationError, loadConfiguration, type Configuration } from '../../src/server/configuration.ts'

function configured(file: object): Configuration {
  return loadConfiguration({ readFile: () => JSON.stringify(file) }).configuration
}

function faultsOf(file: object, flags: Readonly<Record<string, string>> = {}): readonly string[] {
  try {
    loadConfiguration({ flags: new Map(Object.entries(flags)), readFile: () => JSON.stringify(file) })
  } catch (error) {
    assert.ok(error instanceof ConfigurationError)
    return error.faults
  }
  return assert.fail('it was taken')
}

test('rules of retention bound count, bytes and age by topic, and an age may be written with its unit', () => {
  const retention = [
    { topics: 'chat/**', eventsMax: 1000, bytesMax: 1_000_000, ageMs: '7d' },
    { topics: 'state', perKey: 1, ageMs: 60_000 },
    { topics: 'all' },
  ]
  assert.deepEqual(configured({ retention }).retention, [
    { topics: 'chat/**', eventsMax: 1000, bytesMax: 1_000_000, ageMs: 604_800_000 },
    { topics: 'state', ageMs: 60_000, perKey: 1 },
    { topics: 'all' },
  ])
})

test('a flag and a variable say the same rules as JSON', () => {
  const retention = [{ topics: 'chat/**', eventsMax: 10 }]
  const lag = [{ topics: 'prices/**', policy: 'latest' }]
  const flags = new Map([
    ['retention', JSON.stringify(retention)],
    ['lag', JSON.stringify(lag)],
  ])
  const env = { HYDRANT_RETENTION: JSON.stringify(retention), HYDRANT_LAG: ` ${JSON.stringify(lag)}` }
  for (const { configuration } of [loadConfiguration({ flags }), loadConfiguration({ env })]) {
    assert.deepEqual([configuration.retention, configuration.lag], [retention, lag])
  }
})

test('a duration is milliseconds, in the file as a number too', () => {
  for (const [retentionMs, ms] of [
    [0, 0],
    [1_500, 1_500],
    ['1500', 1_500],
    ['90s', 90_000],
    ['12h', 43_200_000],
  ])
    assert.equal(configured({ retentionMs }).retentionMs, ms)
})

test('everything that is wrong with rules is told at once, with its place and the nearest key', () => {
  assert.deepEqual(
    faultsOf({
      retention: [{ topics: 'a', evntsMax: 1, bytesMax: 0 }, { topics: 'a//b', ageMs: '1 week', perKey: 2 }, 'a', {}],
      lag: [{ topics: 'a' }, { topics: 1, policy: 'lates' }],
    }),
    [
      'hydrant.json: retention rule 1 has the key "evntsMax", which no rule has. Did you mean "eventsMax"?',
      'hydrant.json: retention rule 1: bytesMax must be a whole number of at least 1, not 0.',
      'hydrant.json: retention rule 2: ageMs must be a duration like 15m, 2h or 7d, or milliseconds of at least 1, ' +
        'not "1 week".',
      'hydrant.json: retention rule 2: perKey must be 1, not 2.',
      'hydrant.json: retention rule 2: topics cannot be used: The topic or pattern "a//b" has an empty segment.',
      'hydrant.json: retention rule 3 must be an object with keys, not "a".',
      'hydrant.json: retention rule 4 lacks "topics", like "topics": "chat/**".',
      'hydrant.json: lag rule 1 lacks "policy", like "policy": "latest".',
      'hydrant.json: lag rule 2: topics must be a topic or a pattern, not 1.',
      'hydrant.json: lag rule 2: policy must be disconnect or skip or latest, not "lates".',
    ],
  )
  assert.match(faultsOf({ retention: { topics: 'a' } })[0] ?? '', /^hydrant\.json: retention must be an array of rules/)
  assert.match(faultsOf({}, { retention: 'chat/**' })[0] ?? '', /^--retention must be JSON like \[\{"topics": /)
  assert.match(faultsOf({}, { lag: '[{' })[0] ?? '', /^--lag must be JSON like \[\{"topics": /)
})

test('retention that is set for the memory engine is an error for each setting, that says so', () => {
  const faults = faultsOf({ engine: 'memory', retention: [] }, { retentionMs: '7d', retentionEvents: '5' })
  const why = 'needs an engine on disk, like --engine file:./data: the memory engine keeps the newest windowBytes.'
  assert.deepEqual(faults, [`hydrant.json: retention ${why}`, `--retention-events ${why}`, `--retention-ms ${why}`])
})
