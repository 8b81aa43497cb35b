// Follows over SSE. Read with fetch, since an EventSource hears only types that it was told of; this page shows all.

import { Follower } from './follower.js'
import { hubAddress } from './page.js'

/** See the head of the file. */
export class SseFollower extends Follower {
  #abort

  open() {
    this.#abort = new AbortController()
    void this.#run(this.#abort.signal)
  }

  close() {
    this.#abort?.abort()
  }

  async #run(signal) {
    const query = new URLSearchParams({ topic: this.topic, format: 'envelope' })
    if (this.lastId === undefined) query.set('last', '20')
    else query.set('lastEventId', this.lastId)
    try {
      const response = await fetch(hubAddress(`events?${query}`), { signal, cache: 'no-store' })
      if (response.ok) await this.#read(response.body)
      else if (isFinal(response.status)) return this.refused((await response.json()).detail)
    } catch {
      // Cut, or not to be reached: either way it is lost, unless it was this page that let go.
    }
    if (!signal.aborted) this.lost()
  }

  async #read(body) {
    this.opened()
    let rest = ''
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const blocks = (rest + value).split('\n\n')
      rest = blocks.pop()
      for (const block of blocks) this.#take(parseBlock(block))
    }
  }

  #take({ event, data, id }) {
    if (event === 'hydrant:gap') this.gap(JSON.parse(data))
    else if (event?.startsWith('hydrant:')) this.lastId = id ?? this.lastId
    else if (data !== undefined) this.event(JSON.parse(data))
  }
}

/** Whether asking again would be answered the same. */
function isFinal(status) {
  return status >= 400 && status < 500 && status !== 429
}

/** The fields of one block. Enough for this server, which ends lines with LF and puts an envelope on one line. */
function parseBlock(block) {
  const fields = {}
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ')
    if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2)
  }
  return fields
}
