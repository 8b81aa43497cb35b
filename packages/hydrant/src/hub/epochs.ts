// The epochs of a log: which term of its writer each offset belongs to, and where an id of an older term stands now.

import { formatId, type EventId } from 'hydrant-client/wire'
import { InvariantError } from './errors.ts'

/** One term of the log's writer. */
export interface Epoch {
  readonly name: string
  /** The first offset that it gave, or will give. */
  readonly first: number
}

/** Where a stream goes on that was resumed with an id. */
export interface Resume {
  /** Everything after this offset follows. */
  readonly after: number
  /** Whether what the id stood for is known here. If not, the stream begins with a gap `epoch` up to `after`. */
  readonly known: boolean
}

/**
 * The table epoch → first offset, oldest first.
 *
 * A story: epoch `a` wrote 1 to 90 and crashed, having synced only 80. Epoch `b` goes on at 81. Who comes back with
 * `a-75` is served from 76 on, exactly. Who comes back with `a-85` has seen five events that are undone: it is told so,
 * and goes on at 81, the first of `b`. Who comes with an epoch that is not in the table was served by another log.
 */
export class Epochs {
  readonly #epochs: Epoch[]
  readonly #rowsMax: number

  constructor(epochs: readonly Epoch[], rowsMax: number) {
    this.#rowsMax = rowsMax
    this.#epochs = []
    for (const epoch of epochs) this.begin(epoch)
  }

  /** The table as it is now, oldest first. */
  get rows(): readonly Epoch[] {
    return this.#epochs
  }

  /** Starts the next term. */
  begin(epoch: Epoch): void {
    const last = this.#epochs.at(-1)
    if (last !== undefined && epoch.first < last.first) {
      throw new InvariantError(`epoch ${epoch.name} begins at ${epoch.first}, before ${last.name} at ${last.first}`)
    }
    this.#epochs.push(epoch)
    if (this.#epochs.length > this.#rowsMax) this.#epochs.shift()
  }

  /** The id of a position, which may be one that no event has. */
  idAt(offset: number): string {
    const epoch = this.#epochs.findLast((one) => one.first <= offset) ?? this.#epochs[0]
    if (epoch === undefined) throw new InvariantError(`offset ${offset} has no epoch: the table is empty`)
    return formatId(epoch.name, offset)
  }

  /** Where an id stands in this log, whose newest offset is `head` and which has lost everything up to `floor`. */
  resume(id: EventId, floor: number, head: number): Resume {
    const at = this.#epochs.findIndex((one) => one.name === id.epoch)
    if (at === -1) return { after: floor, known: false }
    const next = this.#epochs[at + 1]
    const end = next === undefined ? head : next.first - 1
    return id.offset <= end ? { after: id.offset, known: true } : { after: end, known: false }
  }
}
