// Health: is the process alive, and is it ready for traffic.

import type { Hub } from '../hub/hub.ts'
import { textReply, type Reply } from './exchange.ts'

/** `/livez`: as long as it answers, the process lives. */
export function livez(): Reply {
  return textReply(200, 'ok\n')
}

/**
 * `/readyz`: 200 once the log is open, 503 before, and from the wish to stop on, so that a load balancer looks
 * elsewhere.
 */
export function readyz(hub: Hub): Reply {
  if (hub.isClosing) return textReply(503, 'shutting down\n')
  return hub.isOpen ? textReply(200, 'ok\n') : textReply(503, 'the log is not open\n')
}
