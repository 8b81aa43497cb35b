// The page's elements and addresses.

/**
 * The element that a selector finds; the page has it, or was changed without its script.
 *
 * @param {string} selector
 * @param {ParentNode} within
 */
export function find(selector, within = document) {
  const element = within.querySelector(selector)
  if (element === null) throw new Error(`the page has no ${selector}`)
  return element
}

/**
 * The address of a file beside the page, absolute. A proxy may serve the page below a path of its own.
 *
 * @param {string} path
 */
export function addressOf(path) {
  return new URL(path, new URL('.', document.baseURI)).href
}

/**
 * An address of the hub, absolute: `events?topic=a`. The server says below which path its hub is.
 *
 * @param {string} path
 */
export function hubAddress(path) {
  return addressOf(`.${document.documentElement.dataset['basePath']}/${path}`)
}

/**
 * The address of one topic or pattern. Slashes stay, so that it can be read.
 *
 * @param {string} topic
 */
export function topicAddress(topic) {
  const segments = topic.split('/').map((segment) => encodeURIComponent(segment).replaceAll(/%3A/g, ':'))
  return hubAddress(`events/${segments.join('/')}`)
}

/**
 * Shows a state: its word, and by the word its colour.
 *
 * @param {HTMLElement} element
 * @param {string} state
 * @param {string} [detail]
 */
export function showState(element, state, detail) {
  if (element.dataset['state'] !== state) element.dataset['state'] = state
  const text = detail === undefined ? state : `${state}: ${detail}`
  if (element.textContent !== text) element.textContent = text
}
