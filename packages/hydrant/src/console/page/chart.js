// A small chart of up to two minutes: one line with its area, maybe a second line. Drawn by hand as SVG.

/** How long a sample stays on a chart. */
export const CHART_SPAN_MS = 120_000
/** What a chart spans while its samples are few; it widens as they get more. */
const FIRST_SPAN_MS = 30_000
/** Samples come each second; after a longer silence the line is broken, for nothing is known of the time between. */
const BREAK_MS = 3_500
const WIDTH = 240
const HEIGHT = 64
const SVG = 'http://www.w3.org/2000/svg'

/** Draws into an empty `<svg>`. */
export class Chart {
  #lines
  #area

  /**
   * @param {SVGSVGElement} svg
   * @param {number} lineCount 1 or 2
   */
  constructor(svg, lineCount) {
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`)
    svg.setAttribute('preserveAspectRatio', 'none')
    for (const y of [0.25, 0.5, 0.75]) addPath(svg, 'grid').setAttribute('d', `M0 ${HEIGHT * y}H${WIDTH}`)
    this.#area = addPath(svg, 'area first')
    this.#lines = ['first', 'second'].slice(0, lineCount).map((name) => addPath(svg, `line ${name}`))
  }

  /**
   * Draws samples, oldest first; the last one stands at the right edge.
   *
   * @param {readonly { timeMs: number, values: readonly number[] }[]} points
   * @param {number} top the value at the upper edge
   */
  draw(points, top) {
    if (points.length === 0) return
    const endMs = points.at(-1).timeMs
    const spanMs = Math.min(CHART_SPAN_MS, Math.max(FIRST_SPAN_MS, endMs - points[0].timeMs))
    const scale = { endMs, spanMs, top }
    for (const [at, line] of this.#lines.entries()) {
      const runs = runsOf(points, at, scale)
      line.setAttribute('d', runs.map((run) => `M${run.join('L')}`).join(''))
      if (at === 0) this.#area.setAttribute('d', runs.map(areaOf).join(''))
    }
  }
}

/** The places of one line, as many runs as it has unbroken parts. */
function runsOf(points, at, { endMs, spanMs, top }) {
  const runs = []
  let lastMs = -Infinity
  for (const { timeMs, values } of points) {
    const x = WIDTH * (1 - (endMs - timeMs) / spanMs)
    const y = HEIGHT - 1 - (HEIGHT - 3) * Math.min(1, Math.max(0, (values[at] ?? 0) / top))
    if (timeMs - lastMs > BREAK_MS) runs.push([])
    runs.at(-1).push(`${x.toFixed(1)} ${y.toFixed(1)}`)
    lastMs = timeMs
  }
  return runs
}

function areaOf(run) {
  const startX = run[0].split(' ')[0]
  const endX = run.at(-1).split(' ')[0]
  return `M${startX} ${HEIGHT}L${run.join('L')}L${endX} ${HEIGHT}Z`
}

function addPath(svg, className) {
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('class', className)
  path.setAttribute('vector-effect', 'non-scaling-stroke')
  svg.append(path)
  return path
}
