// An event's id names one place in the log for ever: `<epoch>-<offset>` (PROTOCOL.md, 2.1).

/**
 * A place in a hub's log.
 *
 * The offset grows with every event. The epoch names one term of the log's writer: when a server loses its log
 * and starts again at offset 1, its epoch differs, so that yesterday's `…-1` is never taken for today's.
 */
export interface EventId {
  /** 48 random bits, as 12 lower-case hexadecimal digits. */
  readonly epoch: string
  /** 0 is before the first event. */
  readonly offset: number
}

const ID = /^([0-9a-f]{12})-(0|[1-9][0-9]{0,15})$/

/** The text of an id, as it stands in `id:` and `Last-Event-ID`: `<epoch>-<offset>`. */
export function formatId(epoch: string, offset: number): string {
  return `${epoch}-${offset}`
}

/** Reads an id; undefined when the text is not one. */
export function parseId(text: string): EventId | undefined {
  const match = ID.exec(text)
  const epoch = match?.[1]
  const offset = Number(match?.[2])
  return epoch === undefined || !Number.isSafeInteger(offset) ? undefined : { epoch, offset }
}
