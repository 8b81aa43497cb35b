// Health: is the process alive, and is it ready for traffic.

import type { Hub } from '../hub/hub.ts'
import { textReply, type Reply } from './exchange.ts'

/** `/livez`: as long as it answers, the process lives. */
export function livez(): Reply {
  return textReply(200, 'ok\n')
}

/**
 * `/readyz`: 200 once the log is open; 503 before, while the log cannot be reached, and from the wish to stop on, so
 * that a load balancer looks elsewhere. Streams that are open stay open all the while.
 */
export function readyz(hub: Hub): Reply {
  if (hub.isClosing) return textReply(503, 'shutting down\n')
  if (!hub.isOpen) return textReply(503, 'the log is not open\n')
  const trouble = hub.engine.trouble?.()
  if (trouble === undefined) return textReply(200, 'ok\n')
  return textReply(503, `degraded since ${new Date(trouble.sinceMs).toISOString()}: ${trouble.reason}\n`)
}
