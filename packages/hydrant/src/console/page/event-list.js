// A list of what arrived, newest first and bounded. Everything that came from an event is set as text, never as HTML.

import { formatCount } from './format.js'

const ROWS_MAX = 100
const TEXT_MAX = 2_000
/** However many events arrive, the page is changed ten times a second. */
const REFRESH_MS = 100

/** Shows events and gaps in an `<ol>`, and their number beside it. */
export class EventList {
  #list
  #count
  #events = 0
  #rows = []
  #timer

  /**
   * @param {HTMLOListElement} list
   * @param {HTMLElement} count
   */
  constructor(list, count) {
    this.#list = list
    this.#count = count
  }

  /** @param {import('./follower.js').Envelope} event */
  addEvent({ id, topic, type, key, data, dataBase64 }) {
    this.#events += 1
    this.#add(() => {
      const names = [span('topic', topic), span('type', type), ...(key === undefined ? [] : [span('key', key)])]
      return row('event', [span('id', id), ...names], dataBase64 === undefined ? (data ?? '') : `base64: ${dataBase64}`)
    })
  }

  /** @param {import('./follower.js').Gap} gap */
  addGap({ from, to, reason, certain, count }) {
    const what = count === undefined ? 'events' : `${formatCount(count)} ${count === 1 ? 'event' : 'events'}`
    const text = `${certain ? 'Missing' : 'Maybe missing'}: ${what} after ${from}, up to ${to}`
    this.#add(() => row('gap', [span('id', to), span('type', `gap: ${reason}`)], text))
  }

  clear() {
    this.#events = 0
    this.#rows = []
    this.#list.replaceChildren()
    this.#refresh()
  }

  /** Rows are only made for what will be seen. */
  #add(makeRow) {
    this.#rows.push(makeRow)
    if (this.#rows.length > ROWS_MAX) this.#rows.shift()
    this.#timer ??= setTimeout(() => this.#refresh(), REFRESH_MS)
  }

  #refresh() {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#list.prepend(...this.#rows.map((makeRow) => makeRow()).toReversed())
    this.#rows = []
    while (this.#list.children.length > ROWS_MAX) this.#list.lastElementChild.remove()
    this.#count.textContent = `${formatCount(this.#events)} ${this.#events === 1 ? 'event' : 'events'}`
  }
}

function row(className, names, text) {
  const item = document.createElement('li')
  item.className = className
  const head = document.createElement('div')
  head.append(...names)
  const body = document.createElement('pre')
  body.textContent =
    text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}… (${formatCount(text.length - TEXT_MAX)} more)` : text
  item.append(head, body)
  return item
}

function span(className, text) {
  const element = document.createElement('span')
  element.className = className
  element.textContent = text
  return element
}
