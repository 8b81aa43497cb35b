// better-sse as its documentation shows it: a session for each response, a channel for each topic. A row of the
// benchmark, not an example.

import { type Channel, createChannel, createSession } from 'better-sse'
import { createServer } from 'node:http'
import { portOf, takeEvent, topicOf } from './requests.ts'

const channels = new Map<string, Channel>()

const server = createServer((request, response) => {
  if (request.method === 'POST') takeEvent(request, response, (topic, body) => void channelOf(topic).broadcast(body))
  else void createSession(request, response).then((session) => channelOf(topicOf(request)).register(session))
})

function channelOf(topic: string): Channel {
  const channel = channels.get(topic) ?? createChannel()
  channels.set(topic, channel)
  return channel
}

server.listen(portOf(process.argv), '127.0.0.1')
