// An echo: every WebSocket message goes back to whoever sent it.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createHub } from 'hydrant'

const page = readFileSync(new URL('index.html', import.meta.url))
const port = Number(process.env['PORT'] ?? 3000)

const hub = createHub({ onMessage: (message, client) => client.send(message.data) })
const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(page))
server.on('upgrade', hub.upgrade).listen(port, 'localhost', () => console.log(`http://localhost:${port}`))
