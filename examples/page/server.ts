// A complete server: a page, and the time as a stream of events.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createHub } from 'hydrant'

const hub = createHub()
const page = readFileSync(new URL('index.html', import.meta.url))
const port = Number(process.env['PORT'] ?? 3000)

createServer((request, response) => {
  hub.handler(request, response, () => response.setHeader('content-type', 'text/html').end(page))
}).listen(port, 'localhost', () => console.log(`http://localhost:${port}`))

setInterval(() => void hub.publish({ topic: 'time', data: new Date().toISOString() }), 1000)
