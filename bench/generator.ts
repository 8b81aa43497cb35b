// Runs the load generator once, and reads what it found.

import { execFile } from 'node:child_process'

/** What one run of load.c found. Names end with their unit; counts have none. */
export interface Measurement {
  /** Everything arrived exactly once and in order, and nobody was refused or closed. */
  readonly exact: boolean
  readonly clients: number
  readonly refused: number
  readonly closed: number
  readonly slowClosed: number
  readonly published: number
  readonly answered: number
  readonly publishFailed: number
  /** Deliveries, the warm-up's included. */
  readonly arrived: number
  readonly lost: number
  readonly doubled: number
  readonly reordered: number
  readonly garbled: number
  /** Deliveries of events that are no part of the account. */
  readonly foreign: number
  /** Clients that lost, doubled or reordered anything. */
  readonly clientsWrong: number
  /** Clients that got everything, but across publishers in another order than the first one. */
  readonly clientsApart: number
  /** Subscribers whose streams came compressed. */
  readonly compressed: number
  /** Deliveries without the warm-up's, which all figures below are about. */
  readonly delivered: number
  readonly deliveriesPerS: number
  readonly eventsPerRead: number
  /** What came over the sockets for each delivery: framing, ids and comments included, TCP and IP not. */
  readonly bytesPerDelivery: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** From the moment at which all subscribers were cut until the last one was back; 0 without that. */
  readonly backMs: number
  /** CPU of the server, user and system, in microseconds for each delivery. */
  readonly usPerDelivery: number
  readonly userUsPerDelivery: number
  readonly rssConnectedKb: number
  readonly rssPeakKb: number
  readonly rssPerClientKb: number
  readonly idleCpuS: number
  /** How much of its core the generator had busy: near 1 it may be what was measured. */
  readonly ownCpuShare: number
  /** CPU time that neither server nor generator took of the two CPUs, for each second: noise. */
  readonly othersCpuShare: number
}

/** Runs a command line to its end and returns its stdout; throws with its stderr when it printed nothing there. */
export async function outputOf(command: readonly [string, ...string[]]): Promise<string> {
  const [file, ...args] = command
  return new Promise((resolve, reject) => {
    execFile(file, args, { maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      if (stdout !== '') resolve(stdout)
      else reject(new Error(stderr.trim() || error?.message || `${file} printed nothing`))
    })
  })
}

/** Runs `load` with these arguments; `prefix` may pin it to a CPU. */
export async function runGenerator(
  binary: string,
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<Measurement> {
  const [file = binary, ...rest] = [...prefix, binary, ...args]
  return readMeasurement(await outputOf([file, ...rest]))
}

/** Reads one JSON object of figures; `of` throws when one is missing, so that no report shows an undefined. */
export function readFigures(json: string): { of(name: string): number; is(name: string): boolean } {
  const parsed: unknown = JSON.parse(json)
  const figures = new Map<string, unknown>(Object.entries(parsed ?? {}))
  return {
    of(name) {
      const value = figures.get(name)
      if (typeof value !== 'number') throw new Error(`the generator gave no number named ${name}`)
      return value
    },
    is: (name) => figures.get(name) === true,
  }
}

function readMeasurement(json: string): Measurement {
  const figures = readFigures(json)
  return {
    exact: figures.is('exact'),
    clients: figures.of('clients'),
    refused: figures.of('refused'),
    closed: figures.of('closed'),
    slowClosed: figures.of('slowClosed'),
    published: figures.of('published'),
    answered: figures.of('answered'),
    publishFailed: figures.of('publishFailed'),
    arrived: figures.of('arrived'),
    lost: figures.of('lost'),
    doubled: figures.of('doubled'),
    reordered: figures.of('reordered'),
    garbled: figures.of('garbled'),
    foreign: figures.of('foreign'),
    clientsWrong: figures.of('clientsWrong'),
    clientsApart: figures.of('clientsApart'),
    compressed: figures.of('compressed'),
    delivered: figures.of('delivered'),
    deliveriesPerS: figures.of('deliveriesPerS'),
    eventsPerRead: figures.of('eventsPerRead'),
    bytesPerDelivery: figures.of('bytesPerDelivery'),
    p50Ms: figures.of('p50Ms'),
    p99Ms: figures.of('p99Ms'),
    maxMs: figures.of('maxMs'),
    backMs: figures.of('backMs'),
    usPerDelivery: figures.of('usPerDelivery'),
    userUsPerDelivery: figures.of('userUsPerDelivery'),
    rssConnectedKb: figures.of('rssConnectedKb'),
    rssPeakKb: figures.of('rssPeakKb'),
    rssPerClientKb: figures.of('rssPerClientKb'),
    idleCpuS: figures.of('idleCpuS'),
    ownCpuShare: figures.of('ownCpuShare'),
    othersCpuShare: figures.of('othersCpuShare'),
  }
}
