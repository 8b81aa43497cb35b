// Run by follower-process.ts in a process of its own: follows topics with hydrant-client, and prints a record of each
// thing that it is told, a line of JSON each.
//
//   follow-stream.ts <url of the events> <sse or websocket> <topics…>

import { writeSync } from 'node:fs'
import { connect } from 'hydrant-client'
import type { ClientRecord } from '../../src/testing/testing.ts'

const [url = '', transport, ...topics] = process.argv.slice(2)
let isBegun = false

const stream = connect(url, {
  topics,
  transport: transport === 'websocket' ? 'websocket' : 'sse',
  silenceMs: 10_000,
  backoffMs: 50,
  backoffMsMax: 100,
  onEvent: (event) => {
    begin()
    print({ event })
  },
  onGap: (gap) => {
    begin()
    print({ gap })
  },
  onState: ({ status }) => {
    if (status !== 'connecting' || stream.lastEventId === undefined) return
    begin()
    print({ position: stream.lastEventId })
    print({ resumed: stream.lastEventId })
  },
})
const beginning = setInterval(begin, 5)

/** The first id is where the stream starts. */
function begin(): void {
  if (isBegun || stream.lastEventId === undefined) return
  isBegun = true
  clearInterval(beginning)
  print({ opened: stream.lastEventId })
}

/** To a pipe that is not read for a while, whole. */
function print(record: ClientRecord): void {
  const bytes = Buffer.from(`${JSON.stringify(record)}\n`)
  for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at)
}
