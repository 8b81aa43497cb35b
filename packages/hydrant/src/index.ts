// The library: what a program imports from 'hydrant'.

export { createHub, MountedHub, type HubOptions } from './create-hub.ts'
export { FileEngine, type FileEngineOptions } from './engine/file.ts'
export type { Retention, RetentionRule } from './engine/file-retention.ts'
export { MemoryEngine, type MemoryEngineOptions } from './engine/memory.ts'
export type { Clock } from './hub/clock.ts'
export type { Counters, EndReason, Transport } from './hub/counters.ts'
export { HydrantError, InvariantError } from './hub/errors.ts'
export type { EventInput, JsonValue } from './hub/event.ts'
export { Hub, type HubParts, type PublishOptions, type SubscribeOptions } from './hub/hub.ts'
export type { LagPolicies, LagRule } from './hub/lag.ts'
export { LIMITS, type Limit, type LimitName, type Limits } from './hub/limits.ts'
export type { InputOf, OutputOf, SchemaIssue, SchemaResult, Schemas, StandardSchema, TopicOf } from './hub/schema.ts'
export type { PublishFromOptions } from './hub/source.ts'
export type { StartRequest } from './hub/start.ts'
export type {
  Delivery,
  GapNotice,
  HubEvent,
  LiveNotice,
  LoadSnapshot,
  SnapshotNotice,
  SnapshotRequest,
} from './hub/delivery.ts'
export type { Subscription } from './hub/subscription.ts'
export type { ClientMessageEvent, OnMessage, WebSocketClient } from './transport/websocket-session.ts'
export type { Gap, GapReason, LagPolicy, Problem, ProblemCode } from 'hydrant-client/wire'
