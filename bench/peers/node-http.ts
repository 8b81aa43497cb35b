// The textbook SSE server: a set of responses, and a loop that writes to each. A row of the benchmark, not an example:
// it keeps no history, and whoever reads slowly makes it buffer without end.

import { createServer, type ServerResponse } from 'node:http'
import { Audiences, portOf, takeEvent, topicOf } from './requests.ts'

const responses = new Audiences<ServerResponse>()

const server = createServer((request, response) => {
  if (request.method === 'POST') {
    takeEvent(request, response, broadcast)
    return
  }
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' })
  response.flushHeaders()
  response.on('close', responses.add(topicOf(request), response))
})

function broadcast(topic: string, body: string): void {
  const block = `data: ${body}\n\n`
  for (const response of responses.of(topic)) response.write(block)
}

server.listen(portOf(process.argv), '127.0.0.1')
