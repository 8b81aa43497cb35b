// Loaded into every test process. One that has run its tests and does not end, because something is still open, would
// keep the whole run waiting for ever, without a word; this ends it and says what is open.

import { after } from 'node:test'
import { isMainThread } from 'node:worker_threads'

const EXIT_MS_MAX = 5_000

// The threads and processes that a test starts load this file too, with the options they inherit.
if (isMainThread && process.argv[1]?.endsWith('.test.ts')) {
  after(() => {
    setTimeout(endWithReason, EXIT_MS_MAX).unref()
  })
}

function endWithReason() {
  const open = process.getActiveResourcesInfo().filter((resource) => resource !== 'PipeWrap')
  console.error(`the tests are done, the process is not; still open: ${open.join(', ')}`)
  process.exit(1)
}
