// The four charts, from a plain EventSource on the topic to which the server publishes its own metrics.

import { Chart, CHART_SPAN_MS } from './chart.js'
import { formatBytes, formatCount, formatPercent, niceTop } from './format.js'
import { addressOf, find, showState, topicAddress } from './page.js'

/** The server measures for a minute after each asking. */
const ASK_MS = 30_000
const SAMPLES_MAX = 240

/** What each chart shows of a sample. Without `top`, the value at the upper edge, it fits what is drawn. */
const CHARTS = [
  {
    name: 'cpu',
    lines: ({ cpu }) => [average(cpu)],
    top: () => 1,
    format: formatPercent,
    note: ({ load }) => (load.length === 0 ? '' : `load ${load[0].toFixed(2)}`),
    detail: ({ cpu }) => (cpu.length === 1 ? '1 core' : `${cpu.length} cores`),
  },
  {
    name: 'memory',
    lines: ({ memory }) => [memory.usedBytes],
    top: ({ memory }) => memory.totalBytes,
    format: formatBytes,
    note: ({ memory }) => `of ${formatBytes(memory.totalBytes)}`,
    detail: (sample) => `this server ${formatBytes(sample.process.memoryBytes)}`,
  },
  {
    name: 'network',
    lines: ({ network }) => [network?.receivedBytesPerSecond ?? 0, network?.sentBytesPerSecond ?? 0],
    least: 10_000,
    format: (value) => `${formatBytes(value)}/s`,
    note: ({ network }) => (network === undefined ? 'not known here' : 'in, with loopback'),
  },
  {
    name: 'events',
    lines: ({ hub }) => [hub.deliveriesPerSecond, hub.publishedPerSecond],
    least: 10,
    format: (value) => `${formatCount(value)}/s`,
    note: ({ hub }) => `to ${formatCount(hub.connections)} ${hub.connections === 1 ? 'client' : 'clients'}`,
  },
]

/** Follows the metrics while the page is visible: a hidden page costs the server nothing and keeps no connection. */
export function startMachine() {
  const state = find('#machine-state')
  const panels = CHARTS.map(panelOf)
  const samples = []
  let source
  let timer

  function follow() {
    open()
    ask()
    timer = setInterval(() => {
      ask()
      // An EventSource comes back from a cut, but not from the error of a proxy whose server was away.
      if (source.readyState === EventSource.CLOSED) open()
    }, ASK_MS)
  }

  function open() {
    source = new EventSource(`${topicAddress('hydrant/machine')}?last=${CHART_SPAN_MS / 1_000}`)
    source.addEventListener('open', () => showState(state, 'live'))
    source.addEventListener('error', () => showState(state, 'reconnecting'))
    source.addEventListener('message', (event) => take(event.data))
  }

  function leave() {
    clearInterval(timer)
    source?.close()
    showState(state, 'paused')
  }

  function take(text) {
    const sample = parseSample(text)
    if (sample === undefined) return
    keep(samples, sample)
    for (const panel of panels) panel(samples)
  }

  document.addEventListener('visibilitychange', () => (document.hidden ? leave() : follow()))
  if (!document.hidden) follow()
}

function ask() {
  fetch(addressOf('console/main.js'), { method: 'HEAD', cache: 'no-store' }).catch(() => {
    // The server is away; the EventSource comes back by itself, and the next asking finds it too.
  })
}

/** Anybody can publish to the topic: what is not a sample is left out. */
function parseSample(text) {
  try {
    const sample = JSON.parse(text)
    const numbers = [
      sample.timeMs,
      sample.memory.usedBytes,
      sample.memory.totalBytes,
      sample.process.memoryBytes,
      sample.hub.connections,
      sample.hub.publishedPerSecond,
      sample.hub.deliveriesPerSecond,
      sample.network?.receivedBytesPerSecond ?? 0,
      sample.network?.sentBytesPerSecond ?? 0,
      sample.cpu.length,
      ...sample.cpu,
      ...sample.load,
    ]
    return numbers.every((number) => Number.isFinite(number) && number >= 0) && sample.cpu.length > 0
      ? sample
      : undefined
  } catch {
    return undefined
  }
}

/** Keeps two minutes, by time and by number. A clock that was set back starts the charts anew. */
function keep(samples, sample) {
  const newest = samples.at(-1)
  if (newest !== undefined && sample.timeMs <= newest.timeMs) {
    if (newest.timeMs - sample.timeMs < CHART_SPAN_MS) return // seen already: the page was hidden meanwhile
    samples.length = 0
  }
  samples.push(sample)
  while (samples.length > SAMPLES_MAX || sample.timeMs - samples[0].timeMs > CHART_SPAN_MS) samples.shift()
}

/** Makes the function that shows samples in one figure. */
function panelOf({ name, lines, top, least, format, note, detail }) {
  const figure = find(`#${name}`)
  const show = (selector, text) => (find(selector, figure).textContent = text)
  const cores = figure.querySelector('.cores')
  let chart
  return (samples) => {
    const newest = samples.at(-1)
    const points = samples.map((sample) => ({ timeMs: sample.timeMs, values: lines(sample) }))
    const upper = top?.(newest) ?? niceTop(Math.max(...points.flatMap((point) => point.values)), least)
    chart ??= new Chart(find('svg', figure), points[0].values.length)
    chart.draw(points, upper)
    show('.value b', format(points.at(-1).values[0]))
    show('.value small', note(newest))
    show('.top', format(upper))
    if (detail !== undefined) show('.detail', detail(newest))
    if (cores !== null) showCores(cores, newest.cpu)
  }
}

/** A bar for each core. */
function showCores(element, shares) {
  while (element.children.length > shares.length) element.lastElementChild.remove()
  while (element.children.length < shares.length) element.append(document.createElement('i'))
  for (const [at, bar] of [...element.children].entries()) bar.style.setProperty('--busy', String(shares[at]))
}

function average(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length
}
