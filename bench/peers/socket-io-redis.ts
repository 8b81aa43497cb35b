// Socket.IO with its Redis streams adapter, both with their default settings, a room for each topic. A row of the
// benchmark of two nodes; what is posted to a node is emitted by it.

import { createServer } from 'node:http'
import { createClient } from '@redis/client'
import { createAdapter } from '@socket.io/redis-streams-adapter'
import { Server } from 'socket.io'
import { portOf, takeEvent } from './requests.ts'

const client = createClient({ url: process.argv[3] ?? 'redis://localhost:6379' })
await client.connect()

const server = createServer((request, response) => {
  takeEvent(request, response, (topic, body) => io.to(topic).emit('event', body))
})
const io = new Server(server, { adapter: createAdapter(client) })

io.on('connection', (socket) => {
  void socket.join(String(socket.handshake.query['topic']))
})

server.listen(portOf(process.argv), '127.0.0.1')
