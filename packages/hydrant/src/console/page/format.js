// Numbers as people read them.

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB']

/**
 * Bytes in the unit that keeps the number short: `1.2 MB`, by thousands.
 *
 * @param {number} bytes
 */
export function formatBytes(bytes) {
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1_000
    unit += 1
  }
  return `${value.toFixed(unit > 0 && value < 99.5 ? 1 : 0)} ${UNITS[unit]}`
}

/** @param {number} count */
export function formatCount(count) {
  return Math.round(count).toLocaleString('en')
}

/** @param {number} share 0 to 1 */
export function formatPercent(share) {
  return `${Math.round(share * 100)} %`
}

/**
 * The upper edge of a chart that shows this value: 1, 2 or 5 times a power of ten, and at least `least`.
 *
 * @param {number} value
 * @param {number} least
 */
export function niceTop(value, least) {
  if (value <= least) return least
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5].find((step) => step * power >= value) ?? 10) * power
}
