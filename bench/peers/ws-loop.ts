// The textbook WebSocket server: the clients of `ws`, and a loop that sends to each. A row of the benchmark, not an
// example: it keeps no history, and whoever reads slowly makes it buffer without end.

import { createServer } from 'node:http'
import { WebSocketServer } from 'ws'

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (piece: string) => {
    body += piece
  })
  request.on('end', () => {
    response.end('ok')
    for (const client of sockets.clients) client.send(body)
  })
})
const sockets = new WebSocketServer({ server, perMessageDeflate: false })

server.listen(Number(process.argv[2] ?? 3000), '127.0.0.1')
