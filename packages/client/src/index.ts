// The client: what a program imports from 'hydrant-client'.

export { connect } from './connect.ts'
export type { Clock } from './clock.ts'
export type { Delivery, GapNotice, StreamEvent } from './delivery.ts'
export { StreamError, type StreamErrorCode } from './error.ts'
export type { ConnectOptions } from './options.ts'
export type { PublishEvent } from './publisher.ts'
export type { HeadersOf } from './sse-source.ts'
export type { StreamState, Why, WhyCode } from './state.ts'
export type { Handlers, Stream } from './stream.ts'
export { parseId, type EventId, type Gap, type GapReason, type LagPolicy } from './wire/index.ts'
export type { Problem, ProblemCode } from './wire/index.ts'
