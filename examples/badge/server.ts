// A notification badge: each user has a topic of their own, followed over SSE.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createHub } from 'hydrant'

const hub = createHub()
const page = readFileSync(new URL('index.html', import.meta.url))
const port = Number(process.env['PORT'] ?? 3000)

createServer((request, response) => {
  hub.handler(request, response, () => response.setHeader('content-type', 'text/html').end(page))
}).listen(port, 'localhost', () => {
  console.log(`http://localhost:${port}/?user=ada`)
  console.log(`curl -d 'Your build is green' http://localhost:${port}/events/users/ada/notifications`)
})
