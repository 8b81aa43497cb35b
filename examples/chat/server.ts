// A chat: rooms are topics, spoken and heard over one WebSocket.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createHub } from 'hydrant'

const hub = createHub()
const page = readFileSync(new URL('index.html', import.meta.url))
const port = Number(process.env['PORT'] ?? 3000)

const server = createServer((request, response) => {
  hub.handler(request, response, () => response.setHeader('content-type', 'text/html').end(page))
})
server
  .on('upgrade', hub.upgrade)
  .listen(port, 'localhost', () => console.log(`http://localhost:${port}/?room=lobby&name=Ada`))
