// The textbook WebSocket server: the clients of `ws`, and a loop that sends to each. A row of the benchmark, not an
// example: it keeps no history, and whoever reads slowly makes it buffer without end.

import { createServer } from 'node:http'
import { type WebSocket, WebSocketServer } from 'ws'
import { Audiences, portOf, takeEvent, topicOf } from './requests.ts'

const clients = new Audiences<WebSocket>()

const server = createServer((request, response) => {
  takeEvent(request, response, broadcast)
})
const sockets = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false })

sockets.on('connection', (socket, request) => {
  socket.on('close', clients.add(topicOf(request), socket))
})

function broadcast(topic: string, body: string): void {
  for (const client of clients.of(topic)) client.send(body)
}

server.listen(portOf(process.argv), '127.0.0.1')
