// The checker: one publish log, any number of clients' logs, and the report on them.
//
// It streams: `settle()` judges what both sides are done with, and lets go of it. What is held in between:
//
//   published events   from the slowest client (one that has not left) to the head
//   received events    of each client, from the oldest publish that is under way to where the client is
//   for ever           a fingerprint and the names of each event that failed, or whose outcome is unknown; under
//                      lag=latest the events that wait for a newer one of their key; the first faults of each kind
//
// Without `settle()` it is a batch: everything is held until `report()`.

import { parseId, type EventId } from 'hydrant-client/wire'
import type { EventInput } from '../hub/event.ts'
import { ClientLog, type ClientRecord, type Selects } from './client-log.ts'
import { mergeEpochs } from './epoch-order.ts'
import { settle, settleLast } from './judge.ts'
import { PublishLog } from './publish-log.ts'
import { Faults, type Report } from './report.ts'

/** Options of a checker. */
export interface CheckerOptions {
  /** Faults of each kind that a report has with their ids; all are counted. Default 100. */
  readonly faultsKeptMax?: number | undefined
}

/** Holds what clients received against what was published. */
export class Checker {
  /** Where publishers note what they try, and how it ended. */
  readonly published: PublishLog
  readonly #faults: Faults
  readonly #clients: ClientLog[] = []
  #isOver = false

  constructor(options: CheckerOptions = {}) {
    this.#faults = new Faults(options.faultsKeptMax ?? 100)
    this.published = new PublishLog(this.#faults)
  }

  /**
   * The log of a client, to be told what the client is told. Throws a HydrantError when the selection is one that a
   * server would refuse.
   */
  client(name: string, selects: Selects): ClientLog {
    const client = new ClientLog(name, selects, this.published, this.#faults)
    this.#clients.push(client)
    return client
  }

  /** How many events are held at the moment: published ones, and received ones of all clients. */
  get held(): { readonly published: number; readonly received: number } {
    const received = this.#clients.reduce((sum, client) => sum + client.received.size, 0)
    return { published: this.published.held, received }
  }

  /**
   * Judges everything that publishers and each client are done with, lets go of it, and reports what was found so far.
   * Call it now and then in a long run. A client that joins later must start at or after what was let go of.
   */
  settle(): Report {
    const { settled, epochs } = this.published
    if (settled === undefined) return this.#report()
    for (const client of this.#clients) {
      if (client.high !== undefined) settle(client, this.published, epochs.earlier(settled, client.high))
    }
    this.#forget()
    return this.#report()
  }

  /**
   * Judges all that is left: the run is over. Every client but those that have left is owed everything up to the head,
   * so wait until they have it. What is being published counts as unknown.
   */
  report(): Report {
    if (!this.#isOver) this.#finish()
    this.#isOver = true
    return this.#report()
  }

  #finish(): void {
    this.published.close()
    const { end } = this.published.epochs
    for (const client of this.#clients) {
      const to = client.isLeft ? client.high : end
      if (to !== undefined) settle(client, this.published, to)
      settleLast(client)
    }
  }

  #forget(): void {
    const bases = this.#clients.filter((client) => !client.isLeft).map((client) => client.base)
    let slowest: EventId | undefined
    for (const base of bases) {
      if (base === undefined) return
      slowest = this.published.epochs.earlier(base, slowest)
    }
    if (slowest !== undefined) this.published.forget(slowest)
  }

  #report(): Report {
    const { acknowledged } = this.published
    const clients = this.#clients
    const received = clients.reduce((sum, { tally }) => sum + tally.received, 0)
    const gaps = clients.reduce((sum, { tally }) => sum + tally.gaps, 0)
    return this.#faults.report({ acknowledged, clients: clients.length, received, gaps })
  }
}

/** One line of a publish log that was kept as data: an event that was tried, and how it ended. */
export interface PublishRecord extends EventInput {
  /** The id, when it was acknowledged; else whether the publisher was told that it failed, or was not told. */
  readonly outcome: { readonly id: string } | 'failed' | 'unknown'
}

/** Logs that were kept as data. */
export interface CheckInput {
  /** In any order, but for the first events of epochs: these in the order of the epochs. */
  readonly published: Iterable<PublishRecord>
  /** The log's epochs in their order. Default: as they are found in the logs. */
  readonly epochs?: readonly string[] | undefined
  readonly clients: Iterable<Selects & { readonly name: string; readonly records: readonly ClientRecord[] }>
}

/** Checks logs that were kept as data, all at once. */
export function check({ published, clients, epochs = [] }: CheckInput, options: CheckerOptions = {}): Report {
  const checker = new Checker(options)
  const publishes = [...published]
  const logs = [...clients]
  const told = publishes.map(({ outcome }) => (typeof outcome === 'string' ? undefined : outcome.id))
  const found = [told, ...logs.map(({ records }) => records.map(idOf))].map(epochsOf)
  for (const epoch of mergeEpochs([epochs, ...found])) checker.published.began(epoch)
  const attempts = publishes.map((record) => ({ record, attempt: checker.published.attempt(record) }))
  for (const { record, attempt } of attempts) {
    if (record.outcome === 'failed') attempt.failed()
    else if (record.outcome === 'unknown') attempt.unknown()
    else attempt.acknowledged(record.outcome.id)
  }
  for (const log of logs) {
    const client = checker.client(log.name, log)
    for (const record of log.records) client.take(record)
  }
  return checker.report()
}

function idOf(record: ClientRecord): string | undefined {
  if ('opened' in record) return record.opened
  if ('position' in record) return record.position
  if ('event' in record) return record.event.id
  return 'gap' in record ? record.gap.to : undefined
}

/** The epochs of some ids, without repeating one at once. */
function epochsOf(ids: readonly (string | undefined)[]): readonly string[] {
  const epochs = ids.flatMap((id) => parseId(id ?? '')?.epoch ?? [])
  return epochs.filter((epoch, at) => epoch !== epochs[at - 1])
}
