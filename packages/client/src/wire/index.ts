// What client and server must agree on: ids, envelopes, SSE blocks, WebSocket messages, codes.

export * from './id.ts'
export * from './envelope.ts'
export * from './sse.ts'
export * from './codes.ts'
export * from './messages.ts'
