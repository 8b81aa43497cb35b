// A subscriber of a compressed stream in a room without sockets: read by zlib, whole or as far as it was let through.

import { constants, gunzipSync } from 'node:zlib'
import { SharedDeflate, type SegmentBounds } from '../../src/compression/shared-deflate.ts'
import { GzipConnection } from '../../src/transport/gzip-connection.ts'
import { StreamFormats, type StreamFormat } from '../../src/transport/sse.ts'
import { FakeConnection } from './fake-connection.ts'
import type { PumpRoom } from './pump-room.ts'
import { parseStream, type ParsedStream } from './whatwg-parser.ts'

/** The format of compressed streams, but for the length of its segments. */
export function gzipFormatOf(bounds: SegmentBounds): StreamFormat {
  const format = new StreamFormats('').get('sse', 'bare', 'gzip')
  if (format.sharing === undefined) throw new Error('the format is not compressed')
  return { ...format, sharing: { ...format.sharing, stream: () => new SharedDeflate(bounds) } }
}

/** See the head of the file. */
export class GzipListener {
  /** The connection with the socket: here it is stalled, drained and cut. */
  readonly socket: FakeConnection
  readonly #arrived: Uint8Array[]

  private constructor(socket: FakeConnection, arrived: Uint8Array[]) {
    this.socket = socket
    this.#arrived = arrived
  }

  /** Follows everything, from now on or from after an id, opened as over HTTP. */
  static async open(room: PumpRoom, format: StreamFormat, lastEventId?: string): Promise<GzipListener> {
    await room.hub.ready
    const arrived: Uint8Array[] = []
    const sockets: FakeConnection[] = []
    const connection = new GzipConnection(
      (owner) => {
        const socket = new FakeConnection(owner, { onArrive: (bytes) => void arrived.push(bytes) })
        sockets.push(socket)
        return socket
      },
      'bare',
      room.connections,
    )
    const selection = room.hub.select(['**'])
    const start = await room.hub.start(lastEventId === undefined ? {} : { lastEventId }, selection)
    room.connections.add(connection)
    room.pump.send(connection, start.resumed ? format.resumed : format.open(room.hub.idAt(start.after), 0))
    room.pump.subscribe({ connection, selection, format, start, lag: 'disconnect', label: 0 })
    const [socket] = sockets
    if (socket === undefined) throw new Error('no connection was opened')
    return new GzipListener(socket, arrived)
  }

  /** How many bytes came over the wire. */
  get bytes(): number {
    return Buffer.concat(this.#arrived).length
  }

  /** What it can read of what arrived so far. */
  get stream(): ParsedStream {
    const text = gunzipSync(Buffer.concat(this.#arrived), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
    return parseStream(text)
  }

  /** The same of a stream that has come to its end; throws when the trailer is not true of what was read. */
  get whole(): ParsedStream {
    return parseStream(gunzipSync(Buffer.concat(this.#arrived)).toString())
  }
}
