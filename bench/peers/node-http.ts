// The textbook SSE server: a set of responses, and a loop that writes to each. A row of the benchmark, not an example:
// it keeps no history, and whoever reads slowly makes it buffer without end.

import { createServer, type ServerResponse } from 'node:http'

const responses = new Set<ServerResponse>()

const server = createServer((request, response) => {
  if (request.method === 'POST') {
    let body = ''
    request.setEncoding('utf8')
    request.on('data', (piece: string) => {
      body += piece
    })
    request.on('end', () => {
      response.end('ok')
      const block = `data: ${body}\n\n`
      for (const subscriber of responses) subscriber.write(block)
    })
    return
  }
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' })
  response.flushHeaders()
  responses.add(response)
  response.on('close', () => responses.delete(response))
})

server.listen(Number(process.argv[2] ?? 3000), '127.0.0.1')
