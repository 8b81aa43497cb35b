// The checker, as programs import it from 'hydrant/testing'. Pure: runs wherever clients run, and asserts nothing.

export { check, Checker, type CheckerOptions, type CheckInput, type PublishRecord } from './check.ts'
export { ClientLog, type ClientRecord, type ReceivedEvent, type Selects } from './client-log.ts'
export { Attempt, PublishLog } from './publish-log.ts'
export { FAULT_KINDS, Report, type Fault, type FaultKind } from './report.ts'
