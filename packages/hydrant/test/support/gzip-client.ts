// A client of a compressed stream that inflates as it goes, with zlib's own stream.

import { get, type IncomingMessage } from 'node:http'
import { createGunzip } from 'node:zlib'

/** One open stream. */
export class GzipClient implements Disposable {
  readonly response: IncomingMessage
  /** What it was told so far. */
  text = ''
  /** Bytes of the body, as they came. */
  bytes = 0

  private constructor(response: IncomingMessage) {
    this.response = response
    const gunzip = createGunzip()
    gunzip.on('data', (part: Buffer) => (this.text += part.toString()))
    response.on('error', () => {}) // a cut stream is closed
    response.on('data', (part: Buffer) => {
      this.bytes += part.length
      gunzip.write(part)
    })
  }

  /** Opens a stream; answers once its head is there. */
  static open(url: string, path: string): Promise<GzipClient> {
    return new Promise((resolve, reject) => {
      get(`${url}${path}`, { headers: { 'accept-encoding': 'gzip' }, agent: false })
        .on('response', (response) => resolve(new GzipClient(response)))
        .on('error', reject)
    })
  }

  [Symbol.dispose](): void {
    this.response.destroy()
  }
}
