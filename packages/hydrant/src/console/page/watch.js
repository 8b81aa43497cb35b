// The box to watch: one topic or pattern over both transports, each in its column.

import { EventList } from './event-list.js'
import { find, showState } from './page.js'
import { SseFollower } from './sse.js'
import { WebSocketFollower } from './websocket.js'

/** Watches what the form says; the address remembers it: `/#builds/*`. */
export function startWatching() {
  const form = find('#watch')
  const columns = [new Column(find('#sse'), SseFollower), new Column(find('#websocket'), WebSocketFollower)]

  function watch() {
    const topic = topicOfAddress() || form.elements.topic.defaultValue
    form.elements.topic.value = topic
    for (const column of columns) column.watch(topic)
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const hash = `#${form.elements.topic.value.trim()}`
    if (location.hash === hash) watch()
    else location.hash = hash
  })
  addEventListener('hashchange', watch)
  watch()
}

/** What stands after the `#`. Browsers escape some of it; a text that is no escape stands for itself. */
function topicOfAddress() {
  const text = location.hash.slice(1)
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** One transport: its state, its events, and a button to let go and resume. */
class Column {
  #Follower
  #follower
  #list
  #state
  #button

  constructor(section, Follower) {
    this.#Follower = Follower
    this.#list = new EventList(find('ol', section), find('.count', section))
    this.#state = find('.state', section)
    this.#button = find('.switch', section)
    this.#button.addEventListener('click', () => this.#switch())
  }

  watch(topic) {
    this.#follower?.disconnect()
    this.#list.clear()
    this.#follower = new this.#Follower(topic, {
      state: (state, detail) => this.#show(state, detail),
      event: (event) => this.#list.addEvent(event),
      gap: (gap) => this.#list.addGap(gap),
    })
    this.#follower.connect()
  }

  #switch() {
    if (this.#button.textContent === 'Disconnect') this.#follower.disconnect()
    else this.#follower.connect()
  }

  #show(state, detail) {
    showState(this.#state, state, detail)
    this.#button.textContent = state === 'disconnected' || state === 'refused' ? 'Resume' : 'Disconnect'
  }
}
