// What following over SSE and over WebSocket have in common: the last id, and coming back after a while.

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15_000

/**
 * An event, as the server puts it into an envelope. Text stands in `data`, bytes stand in `dataBase64`.
 *
 * @typedef {object} Envelope
 * @property {string} id
 * @property {string} topic
 * @property {string} type
 * @property {string} [key]
 * @property {string} [data]
 * @property {string} [dataBase64]
 */

/**
 * Events that are gone: after one id, up to another.
 *
 * @typedef {object} Gap
 * @property {string} from
 * @property {string} to
 * @property {string} reason
 * @property {boolean} certain
 * @property {number} [count]
 */

/**
 * What a follower tells.
 *
 * @typedef {object} Listener
 * @property {(state: 'connecting' | 'open' | 'waiting' | 'disconnected' | 'refused', detail?: string) => void} state
 * @property {(event: Envelope) => void} event
 * @property {(gap: Gap) => void} gap
 */

/** Follows one topic or pattern, from its last events on. Its transport is the part that a subclass brings. */
export class Follower {
  /** @type {string} */
  topic
  /** Where to resume; undefined until the server named a place. @type {string | undefined} */
  lastId
  /** @type {Listener} */
  listener
  #attempt = 0
  #timer

  /**
   * @param {string} topic
   * @param {Listener} listener
   */
  constructor(topic, listener) {
    this.topic = topic
    this.listener = listener
  }

  /** Connects, from the last id when there is one. */
  connect() {
    this.disconnect()
    this.listener.state('connecting')
    this.open()
  }

  /** Lets go; `connect` resumes. */
  disconnect() {
    clearTimeout(this.#timer)
    this.close()
    this.listener.state('disconnected')
  }

  /** The subclass says: the server answers. */
  opened() {
    this.#attempt = 0
    this.listener.state('open')
  }

  /** The subclass says: the connection is gone. Comes back, later each time, never all pages at once. */
  lost() {
    const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#attempt) * (0.5 + Math.random() / 2)
    this.#attempt += 1
    this.listener.state('waiting', `again in ${(waitMs / 1_000).toFixed(1)} s`)
    this.#timer = setTimeout(() => this.connect(), waitMs)
  }

  /** The subclass says: the server will never take this. */
  refused(detail) {
    this.close()
    this.listener.state('refused', detail)
  }

  /** The subclass brings an event. */
  event(event) {
    this.lastId = event.id
    this.listener.event(event)
  }

  /** The subclass brings a gap. */
  gap(gap) {
    this.lastId = gap.id ?? gap.to
    this.listener.gap(gap)
  }
}
