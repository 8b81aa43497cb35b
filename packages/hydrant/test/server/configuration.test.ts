import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { LIMITS } from '../../src/hub/limits.ts'
import { ConfigurationError, loadConfiguration, type ConfigurationSources } from '../../src/server/configuration.ts'
import { FILE_KEYS, flagOf, SETTING_KEYS, variableOf } from '../../src/server/settings.ts'

test('without any source every setting has its default', () => {
  const { configuration, effective } = loadConfiguration()
  assert.deepEqual(configuration, {
    host: '127.0.0.1',
    port: 3000,
    engine: 'file:hydrant-data',
    retention: [],
    retentionBytes: 1_073_741_824,
    retentionEvents: 0,
    retentionMs: 0,
    cors: [],
    lag: 'disconnect',
    basePath: '',
    compression: false,
    console: true,
    workers: 1,
    heartbeatText: '',
    limits: Object.fromEntries(Object.entries(LIMITS).map(([name, limit]) => [name, limit.default])),
  })
  assert.deepEqual(
    effective.map(({ key }) => key),
    SETTING_KEYS,
  )
  assert.ok(effective.every(({ source }) => source === 'default'))
})

/** For each setting, three different values that it can have. */
const VALUES: Readonly<Record<string, readonly [string, string, string]>> = {
  host: ['a.example', 'b.example', 'c.example'],
  port: ['4001', '4002', '4003'],
  engine: ['file:/a', 'file:/b', 'file:/c'],
  retentionBytes: ['90000001', '90000002', '90000003'],
  retentionEvents: ['1', '2', '3'],
  retentionMs: ['1', '2', '3'],
  cors: ['https://a.example', 'https://b.example', 'https://c.example'],
  lag: ['skip', 'disconnect', 'skip'],
  basePath: ['/a', '/b', '/c'],
  console: ['on', 'off', 'on'],
  heartbeatText: ['a', 'b', 'c'],
  ...Object.fromEntries(Object.keys(LIMITS).map((name) => [name, ['90000001', '90000002', '90000003'] as const])),
}

function jsonOf(key: string, text: string): unknown {
  if (key === 'console') return text === 'on'
  if (key === 'cors') return [text]
  return /^\d+$/.test(text) ? Number(text) : text
}

function textOf(value: unknown): string {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value)
}

test('a flag beats the environment, which beats the file, which beats the default, for every setting by itself', () => {
  const places = fc.record({ flag: fc.boolean(), variable: fc.boolean(), file: fc.boolean() })
  const settings = fc.record(Object.fromEntries(Object.keys(VALUES).map((key) => [key, places])))
  fc.assert(
    fc.property(settings, (given) => {
      const rows = Object.entries(VALUES).map(([key, texts]) => ({ key, texts, place: given[key] }))
      const { effective } = loadConfiguration({
        flags: new Map(rows.filter(({ place }) => place?.flag).map(({ key, texts }) => [key, texts[0]])),
        env: Object.fromEntries(
          rows.filter(({ place }) => place?.variable).map(({ key, texts }) => [variableOf(key), texts[1]]),
        ),
        readFile: (path) => {
          assert.equal(path, 'hydrant.json')
          const inFile = rows.filter(({ place }) => place?.file)
          return JSON.stringify(Object.fromEntries(inFile.map(({ key, texts }) => [key, jsonOf(key, texts[2])])))
        },
      })
      for (const { key, texts, place } of rows) {
        const { value, source } = effective.find((one) => one.key === key) ?? {}
        if (place?.flag) assert.deepEqual([textOf(value), source], [texts[0], `--${flagOf(key)}`])
        else if (place?.variable) assert.deepEqual([textOf(value), source], [texts[1], variableOf(key)])
        else if (place?.file) assert.deepEqual([textOf(value), source], [texts[2], 'hydrant.json'])
        else assert.equal(source, 'default')
      }
    }),
    { numRuns: 50 },
  )
})

test('no two settings share a flag or a variable', () => {
  assert.equal(new Set(SETTING_KEYS.map(flagOf)).size, SETTING_KEYS.length)
  assert.equal(new Set(SETTING_KEYS.map(variableOf)).size, SETTING_KEYS.length)
  assert.equal(flagOf('heartbeatMs'), 'heartbeat-ms')
  assert.equal(variableOf('heartbeatMs'), 'HYDRANT_HEARTBEAT_MS')
})

test('several origins are separated by commas, and are an array in the file', () => {
  const expected = ['https://a.example', 'https://b.example']
  const ofFlag = loadConfiguration({ flags: new Map([['cors', 'https://a.example, https://b.example']]) })
  const ofFile = loadConfiguration({ readFile: () => JSON.stringify({ cors: expected }) })
  assert.deepEqual(ofFlag.configuration.cors, expected)
  assert.deepEqual(ofFile.configuration.cors, expected)
})

test('a named file is read instead of hydrant.json, and a flag names it before a variable does', () => {
  const readFile = (path: string): string => JSON.stringify({ heartbeatText: path })
  const env = { HYDRANT_CONFIG: 'of-variable.json' }
  const { configuration } = loadConfiguration({ env, readFile })
  assert.equal(configuration.heartbeatText, 'of-variable.json')
  const flags = new Map([['config', 'of-flag.json']])
  const { effective } = loadConfiguration({ flags, env, readFile })
  assert.deepEqual(
    effective.find(({ key }) => key === 'heartbeatText'),
    { key: 'heartbeatText', value: 'of-flag.json', source: 'of-flag.json' },
  )
})

/** What is said of sources that cannot be used. */
function faultsOf(sources: ConfigurationSources): readonly string[] {
  try {
    loadConfiguration(sources)
  } catch (error) {
    assert.ok(error instanceof ConfigurationError)
    return error.faults
  }
  return assert.fail('it was taken')
}

test('everything that is wrong is told at once, with its place and the nearest name', () => {
  assert.deepEqual(
    faultsOf({
      flags: new Map([['port', '65536']]),
      env: { HYDRANT_PROT: '1', HYDRANT_LAG: 'wait', PATH: '/bin' },
      readFile: () => '{"heartbeat-ms": 1, "console": "yes", "retryMs": "2"}',
    }),
    [
      'the environment has HYDRANT_PROT, which is no setting. Did you mean "HYDRANT_PORT"?',
      'hydrant.json has the key "heartbeat-ms", which is no setting. Did you mean "heartbeatMs"?',
      '--port must be a whole number from 0 to 65535, not "65536".',
      'HYDRANT_LAG must be disconnect or skip or latest, not "wait".',
      'hydrant.json: console must be true or false, not "yes".',
      'hydrant.json: retryMs must be a whole number of at least 0, not "2".',
    ],
  )
})

for (const [key, text, why] of [
  [
    'engine',
    'redis',
    /^--engine must be memory, file:<folder> like file:.\/data, redis:\/\/… or nats:\/\/…, not "redis"/,
  ],
  ['engine', 'file:', /^--engine must be memory, file:<folder> like file:.\/data, redis:\/\/… or nats:\/\/…, not "file:"/],
  ['retentionBytes', '1000', /^--retention-bytes must be a whole number of at least 65536/],
  ['retentionEvents', '-1', /^--retention-events must be a whole number of at least 0/],
  [
    'retentionMs',
    '7w',
    /^--retention-ms must be a duration like 15m, 2h or 7d, or milliseconds of at least 0, not "7w"/,
  ],
  ['host', '', /^--host must be an address/],
  ['port', '3e3', /^--port must be a whole number/],
  ['port', '-1', /^--port must be a whole number/],
  ['windowBytes', '64000', /^--window-bytes must be a whole number of at least 65536/],
  ['heartbeatMs', '1.5', /^--heartbeat-ms must be a whole number/],
  ['cors', 'https://a.example/', /^--cors .*"https:\/\/a.example\/" is no web origin/],
  ['basePath', 'api', /^--base-path must look like \/api/],
  ['basePath', '/api/', /^--base-path must look like \/api/],
  ['console', 'maybe', /^--console must be on or off/],
] as const) {
  test(`--${flagOf(key)} cannot be ${JSON.stringify(text)}`, () => {
    const faults = faultsOf({ flags: new Map([[key, text]]) })
    assert.equal(faults.length, 1)
    assert.match(faults[0] ?? '', why)
  })
}

test('a file must be there when it is named, must be JSON, must be an object, and cannot name another', () => {
  assert.deepEqual(faultsOf({ flags: new Map([['config', 'a.json']]) }), ['there is no config file a.json.'])
  assert.match(faultsOf({ readFile: () => '{"port": }' })[0] ?? '', /^hydrant\.json cannot be read: .*JSON/)
  assert.match(faultsOf({ readFile: () => '[]' })[0] ?? '', /^hydrant\.json must hold a JSON object/)
  assert.match(
    faultsOf({ readFile: () => '{"config": "b.json"}' })[0] ?? '',
    /has the key "config", which is no setting/,
  )
  assert.ok(!FILE_KEYS.includes('config'))
  const unreadable = (): never => {
    throw new Error('EACCES: permission denied')
  }
  assert.deepEqual(faultsOf({ readFile: unreadable }), ['hydrant.json cannot be read: EACCES: permission denied.'])
})

test('a file may begin with a byte-order mark', () => {
  assert.equal(loadConfiguration({ readFile: () => '\uFEFF{"port": 4000}' }).configuration.port, 4000)
})

test('an empty variable is not set', () => {
  const { configuration } = loadConfiguration({ env: { HYDRANT_PORT: '' }, readFile: () => '{"port": 4000}' })
  assert.equal(configuration.port, 4000)
})

test('what Kubernetes says of a service named hydrant is not taken for settings', () => {
  const env = {
    HYDRANT_SERVICE_HOST: '10.0.0.7',
    HYDRANT_SERVICE_PORT: '80',
    HYDRANT_SERVICE_PORT_HTTP: '80',
    HYDRANT_PORT: 'tcp://10.0.0.7:80',
    HYDRANT_PORT_80_TCP: 'tcp://10.0.0.7:80',
    HYDRANT_PORT_80_TCP_PROTO: 'tcp',
    HYDRANT_PORT_80_TCP_PORT: '80',
    HYDRANT_PORT_80_TCP_ADDR: '10.0.0.7',
    HYDRANT_CACHE_SERVICE_HOST: '10.0.0.8',
    HYDRANT_CACHE_PORT: 'tcp://10.0.0.8:80',
  }
  assert.equal(loadConfiguration({ env }).configuration.port, 3000)
  assert.deepEqual(faultsOf({ env: { HYDRANT_CACHE_PORT: '80' } }), [
    'the environment has HYDRANT_CACHE_PORT, which is no setting.',
  ])
})
