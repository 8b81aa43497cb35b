// The head of an answer in HTTP/1.1, with the words and in the order of `node:http`.

import { STATUS_CODES } from 'node:http'

/** What of an answer its head tells. */
export interface AnswerHead {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** How long the connection is kept for another request; undefined when it ends with this answer. */
  readonly keepAliveMs: number | undefined
}

/** The head as text, one character a byte. Headers are ours or were read by request-head.ts: none has a line break. */
export function answerHead({ status, headers, keepAliveMs }: AnswerHead): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`
  for (const name in headers) text += `${name}: ${headers[name]}\r\n`
  text += `Date: ${httpDate()}\r\n`
  if (keepAliveMs === undefined) return `${text}Connection: close\r\n\r\n`
  const keepAlive = keepAliveMs > 0 ? `Keep-Alive: timeout=${Math.floor(keepAliveMs / 1_000)}\r\n` : ''
  return `${text}Connection: keep-alive\r\n${keepAlive}\r\n`
}

let dateS = 0
let date = ''

/** Made once a second: a crowd that comes back asks thousands of times. */
function httpDate(): string {
  const nowMs = Date.now()
  const nowS = Math.trunc(nowMs / 1_000)
  if (nowS !== dateS) {
    dateS = nowS
    date = new Date(nowMs).toUTCString()
  }
  return date
}
