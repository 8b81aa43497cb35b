import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseFlags, type Flag } from '../../src/cli/flags.ts'

const KNOWN: readonly Flag[] = [
  { name: 'port', placeholder: '<port>', description: 'a value' },
  { name: 'json', description: 'none' },
]

test('values stand behind the flag or after an equals sign, and words anywhere', () => {
  const { words, flags } = parseFlags(['a', '--port', '1', 'b', '--json', '--port=2', 'c'], KNOWN)
  assert.deepEqual(words, ['a', 'b', 'c'])
  assert.deepEqual([flags.all('port'), flags.last('port'), flags.has('json')], [['1', '2'], '2', true])
})

test('a flag that is not there has no value', () => {
  const { flags } = parseFlags([], KNOWN)
  assert.deepEqual([flags.all('port'), flags.last('port'), flags.has('json')], [[], undefined, false])
})

test('everything after two dashes is a word', () => {
  assert.deepEqual(parseFlags(['--', '--port', '-x'], KNOWN).words, ['--port', '-x'])
})

test('a value may begin with a dash where an equals sign stands, and be a dash alone', () => {
  assert.equal(parseFlags(['--port=-1'], KNOWN).flags.last('port'), '-1')
  assert.equal(parseFlags(['--port', '-'], KNOWN).flags.last('port'), '-')
  assert.throws(() => parseFlags(['--port', '-1'], KNOWN), /--port needs a value, and "-1" follows it/)
})

test('a flag that is not known is an error, however it is written', () => {
  assert.throws(() => parseFlags(['--prt', '1'], KNOWN), /no flag --prt\. Did you mean "--port"\?/)
  assert.throws(() => parseFlags(['-port'], KNOWN), /no flag -p/)
  assert.throws(() => parseFlags(['--no-json'], KNOWN), /no flag --no-json/)
  assert.throws(() => parseFlags(['--__proto__=1'], KNOWN), /no flag --__proto__/)
})
