// A shell block of the documentation, run as a reader would type it, against a server of the test's.
//
// What a reader ends by Ctrl-C has an end here: a `curl -N` is read until the first heartbeat, by which time everything
// that was there has come; then nobody reads it any more, and it ends with code 23. The server says `alive` in its
// heartbeats, and says them often. An answer of 400 or more is a failure.

import { spawn } from 'node:child_process'
import type { Block } from './markdown.ts'

/** The text of the server's heartbeats. */
export const HEARTBEAT_TEXT = 'alive'

const CURL_GAVE_UP_WRITING = 23

const PROLOGUE = `
set -euo pipefail
curl() {
  case " $* " in
    *' -N '*ndjson*) watch '^$' "$@" ;;
    *' -N '*) watch '^: ${HEARTBEAT_TEXT}$' "$@" ;;
    *) command curl --silent --show-error --fail-with-body --max-time 10 "$@" ;;
  esac
}
watch() {
  local heartbeat=$1 codes
  shift
  set +e
  command curl --silent --fail-with-body --max-time 10 "$@" | sed "/$heartbeat/q"
  codes=("\${PIPESTATUS[@]}")
  set -e
  [ "\${codes[0]}" -eq ${CURL_GAVE_UP_WRITING} ]
}
`

/** What a block did. */
export interface Ran {
  readonly code: number | null
  /** What it said, errors included. */
  readonly output: string
}

/** Runs a block; `localhost:3000` in it becomes the server's address. */
export function runShellBlock(block: Block, port: number): Promise<Ran> {
  const script = `${PROLOGUE}\n${block.text.replaceAll('localhost:3000', `127.0.0.1:${port}`)}`
  const child = spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (bytes) => (output += String(bytes)))
  child.stderr.on('data', (bytes) => (output += String(bytes)))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
