// A disk in memory: what is on it, what was only written, and what retention took out. Naive on purpose.

import type { Idempotency } from '../../src/engine/engine.ts'
import type { Epoch } from '../../src/hub/epochs.ts'
import type { CheckedEvent } from '../../src/hub/event.ts'

/** An event on the disk. */
export interface Row {
  readonly epoch: string
  readonly offset: number
  readonly timeMs: number
  readonly event: CheckedEvent
  /** The first offset of its batch, which is stored whole or not at all. */
  readonly batch: number
}

/** An event that retention took out. */
interface Gone {
  readonly row: Row
  /** Newer ones of its topic and key that were there. */
  newer: readonly Row[]
}

/** A request with a key, and where its events are. */
interface Answered {
  readonly fingerprint: string
  readonly first: number
}

/** See the head of the file. */
export class Disk {
  /** Terms of the writer, oldest first. */
  readonly terms: Epoch[] = []
  rows: Row[] = []
  readonly gone: Gone[] = []
  readonly keys: Map<string, Answered> = new Map()
  /** The newest offset that is safe. */
  synced = 0
  /** The newest time. */
  timeMs = 0

  /** The newest offset, written or synced. */
  get head(): number {
    return this.rows.at(-1)?.offset ?? this.floor
  }

  /** Everything after it is here. */
  get floor(): number {
    return this.gone.at(-1)?.row.offset ?? 0
  }

  /** Where a topic ended, up to an offset. */
  endOf(topic: string, to: number): number | undefined {
    const isEnd = ({ offset, event }: Row): boolean =>
      event.topic === topic && event.type === 'hydrant:end' && offset <= to
    return this.rows.find(isEnd)?.offset ?? this.gone.find(({ row }) => isEnd(row))?.row.offset
  }

  /** Newer rows of a row's topic and key, up to an offset; rows without a key have one in common. */
  newer({ offset, event }: Row, to: number): readonly Row[] {
    return this.rows.filter(
      (other) =>
        other.offset > offset &&
        other.offset <= to &&
        other.event.topic === event.topic &&
        other.event.key === event.key,
    )
  }

  /** Begins a term, whose first offset is the next one. */
  begin(name: string): Epoch {
    const term = { name, first: this.head + 1 }
    this.terms.push(term)
    return term
  }

  /** Writes a batch behind the others; it is not safe yet. */
  write(batch: readonly CheckedEvent[], nowMs: number, idempotency: Idempotency | undefined): number {
    const first = this.head + 1
    this.timeMs = Math.max(this.timeMs, nowMs)
    const epoch = this.terms.at(-1)?.name ?? ''
    for (const [at, event] of batch.entries())
      this.rows.push({ epoch, offset: first + at, timeMs: this.timeMs, event, batch: first })
    if (idempotency !== undefined) this.keys.set(idempotency.key, { fingerprint: idempotency.fingerprint, first })
    return first
  }

  /** What was written is safe. */
  sync(): void {
    this.synced = this.head
  }

  /** Loses some of what is not safe, whole batches from the end; `kept` of it stays. */
  lose(kept: number): void {
    this.undo(this.synced + Math.floor((this.head - this.synced) * kept))
    this.synced = this.head
  }

  /** Undoes whole batches from the end until nothing after this offset is left. */
  undo(to: number): void {
    const cut = this.rows.find((row) => row.offset > to)?.batch
    if (cut === undefined) return
    this.rows = this.rows.filter(({ offset }) => offset < cut)
    this.synced = Math.min(this.synced, this.head)
    for (const [key, { first }] of this.keys) if (first >= cut) this.keys.delete(key)
    for (const one of this.gone) one.newer = one.newer.filter(({ offset }) => offset < cut)
  }

  /** Takes out the oldest, until so many are left; nothing after `to`. */
  trim(events: number, to: number): void {
    while (this.rows.length > Math.max(1, events)) {
      const [row] = this.rows
      if (row === undefined || row.offset > to) return
      this.rows.shift()
      this.gone.push({ row, newer: this.newer(row, to) })
    }
  }
}
