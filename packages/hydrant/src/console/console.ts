// The page at `/`: this machine live, a box to publish, and any topic watched over SSE and WebSocket side by side.
//
// The files are sent as they lie in page/, without a build step. They load nothing from elsewhere, and the policy below
// lets the browser enforce that: a text that an event smuggled into the page could neither run nor call home.

import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname } from 'node:path'
import type { MountedHub } from '../create-hub.ts'
import { Machine } from './machine.ts'

const PAGE = new URL('page/', import.meta.url)
const INDEX = 'index.html'

const MEDIA: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const SAFETY = {
  'cache-control': 'no-cache', // the next version of the server has another page
  'content-security-policy': "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/** The page's handler. */
export interface Console {
  /** Answers GET and HEAD of `/` and `/console/<file>`; true when it did. */
  handle(request: IncomingMessage, response: ServerResponse): boolean
  /** Stops the machine's metrics. */
  close(): void
}

interface PageFile {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What makes the machine's metrics while somebody looks. */
export type Samples = Pick<Machine, 'wanted' | 'close'>

/**
 * Reads the page's files, once. Throws when they are not there. `basePath` is the hub's, where its events are: the page
 * itself stays at `/`.
 */
export function createConsole(hub: MountedHub, basePath = '', machine: Samples = new Machine(hub)): Console {
  const files = readFiles(basePath)
  return {
    handle: (request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return false
      const [path = '/'] = (request.url ?? '/').split('?', 1)
      const file = files.get(path)
      if (file === undefined) return false
      if (path !== '/') machine.wanted()
      response.writeHead(200, file.headers)
      response.end(request.method === 'HEAD' ? undefined : file.body)
      return true
    },
    close: () => machine.close(),
  }
}

/** By path: what is not in the map does not exist, whatever a path tries. */
function readFiles(basePath: string): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>()
  for (const name of readdirSync(PAGE)) {
    const media = MEDIA[extname(name)]
    if (media === undefined) continue
    const read = readFileSync(new URL(name, PAGE))
    const body = name === INDEX ? fillIn(read, basePath) : read
    const headers = { 'content-type': media, 'content-length': String(body.length), ...SAFETY }
    files.set(name === INDEX ? '/' : `/console/${name}`, { headers, body })
  }
  return files
}

/** Tells the page where the events are. */
function fillIn(page: Buffer, basePath: string): Buffer {
  const value = basePath.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
  return Buffer.from(page.toString().replace('data-base-path=""', () => `data-base-path="${value}"`))
}
