// Socket.IO with its default settings, a room for each topic. A row of the benchmark, not an example: state recovery is
// off, as it is unless asked for.

import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { portOf, takeEvent } from './requests.ts'

const server = createServer((request, response) => {
  takeEvent(request, response, (topic, body) => io.to(topic).emit('event', body))
})
const io = new Server(server)

io.on('connection', (socket) => {
  void socket.join(String(socket.handshake.query['topic']))
})

server.listen(portOf(process.argv), '127.0.0.1')
