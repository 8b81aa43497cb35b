// What a page has to load.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { bundleClient } from '../support/bundle.ts'

/** Every visitor loads every byte: what makes it grow has to be worth it. */
const GZIP_BYTES_MAX = 7_300

test(`the whole client is one file of at most ${GZIP_BYTES_MAX} bytes, compressed, and imports nothing`, async () => {
  const text = await bundleClient()
  const bytes = gzipSync(text, { level: 9 }).length
  assert.ok(bytes <= GZIP_BYTES_MAX, `${bytes} bytes`)
  assert.doesNotMatch(text, /\bimport\b/)
  const module: unknown = await import(`data:text/javascript,${encodeURIComponent(text)}`)
  assert.deepEqual(Object.keys(module ?? {}).toSorted(), ['StreamError', 'connect', 'parseId'])
})
