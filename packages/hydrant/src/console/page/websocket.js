// Follows over WebSocket, with the subprotocol `hydrant.v1`: one JSON object per message.

import { Follower } from './follower.js'
import { hubAddress } from './page.js'

const SUBSCRIPTION = 0

/** See the head of the file. */
export class WebSocketFollower extends Follower {
  #socket
  #letGo

  open() {
    const socket = new WebSocket(hubAddress('events').replace(/^http/, 'ws'), 'hydrant.v1')
    socket.binaryType = 'arraybuffer'
    this.#socket = socket
    this.#letGo = new AbortController()
    const { signal } = this.#letGo
    socket.addEventListener('open', () => this.#subscribe(), { signal })
    socket.addEventListener('message', ({ data }) => this.#take(parseMessage(data)), { signal })
    socket.addEventListener('close', () => this.lost(), { signal })
  }

  close() {
    this.#letGo?.abort()
    this.#socket?.close()
  }

  #subscribe() {
    const from = this.lastId === undefined ? { last: 20 } : { lastEventId: this.lastId }
    this.#socket.send(JSON.stringify({ subscribe: { sub: SUBSCRIPTION, topics: [this.topic], ...from } }))
  }

  #take(message) {
    if (message.subscribed) {
      this.lastId ??= message.subscribed.id
      this.opened()
    } else if (message.gap) this.gap(message.gap)
    else if (message.position) this.lastId = message.position
    else if (message.error) this.refused(message.error.detail)
    else if (message.id) this.event(message)
  }
}

/** A binary frame is a 16-bit length, a JSON header of that length, and the event's bytes. */
function parseMessage(data) {
  if (typeof data === 'string') return JSON.parse(data)
  const headerEnd = 2 + new DataView(data).getUint16(0)
  const header = JSON.parse(new TextDecoder().decode(data.slice(2, headerEnd)))
  return { ...header, dataBase64: new Uint8Array(data, headerEnd).toBase64?.() ?? '' }
}
