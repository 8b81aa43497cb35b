// The box to publish, and the curl lines that do the same.

import { find, topicAddress } from './page.js'

/** Sends the form's event with the button or Enter. */
export function startPublishing() {
  const form = find('#publish')
  const outcome = find('#published')

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void publish(fieldsOf(form), outcome)
  })
  form.elements.text.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    form.requestSubmit()
  })
  form.addEventListener('input', () => showCurl(fieldsOf(form)))
  showCurl(fieldsOf(form))
}

function fieldsOf(form) {
  const { topic, type, text } = form.elements
  return { topic: topic.value.trim(), type: type.value.trim(), text: text.value }
}

async function publish(event, outcome) {
  const { id, fault } = await send(event)
  outcome.classList.toggle('fault', fault !== undefined)
  outcome.textContent = fault ?? `Stored as ${id}`
}

/** Answers the id, or what is wrong. */
async function send({ topic, type, text }) {
  try {
    const response = await fetch(publishAddress(topic, type), {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: text,
    })
    const answer = await response.json()
    return response.ok ? { id: answer.id } : { fault: answer.detail ?? answer.title ?? `Refused: ${response.status}` }
  } catch {
    return { fault: 'The server did not answer. Is it running?' }
  }
}

function publishAddress(topic, type) {
  const address = topicAddress(topic)
  return type === '' ? address : `${address}?type=${encodeURIComponent(type)}`
}

function showCurl({ topic, type, text }) {
  find('#curl-watch').textContent = `curl -N ${shellQuote(topicAddress(topic))}`
  const body = `${text.startsWith('@') ? '--data-raw' : '-d'} ${shellQuote(text)}`
  find('#curl-publish').textContent = `curl ${body} ${shellQuote(publishAddress(topic, type))}`
}

/** As a POSIX shell takes it: plain where nothing in it is special. */
function shellQuote(text) {
  return /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
