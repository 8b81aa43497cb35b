// What all peers in TypeScript have in common: topics at the end of paths, and published bodies.

import type { IncomingMessage, ServerResponse } from 'node:http'

/** Those who follow each topic. */
export class Audiences<Follower> {
  readonly #followers = new Map<string, Set<Follower>>()

  /** Adds one; the result takes it away again. */
  add(topic: string, follower: Follower): () => void {
    const followers = this.#followers.get(topic) ?? new Set<Follower>()
    this.#followers.set(topic, followers.add(follower))
    return () => followers.delete(follower)
  }

  /** Those who follow this topic, in the order in which they came. */
  of(topic: string): Iterable<Follower> {
    return this.#followers.get(topic) ?? []
  }
}

/** The last segment of a path: `bench` of `/events/bench`. */
export function topicOf(request: IncomingMessage): string {
  return request.url?.split('/').at(-1) ?? ''
}

/** Reads a request's body, answers it, and then delivers it. */
export function takeEvent(
  request: IncomingMessage,
  response: ServerResponse,
  deliver: (topic: string, body: string) => void,
): void {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (piece: string) => {
    body += piece
  })
  request.on('end', () => {
    response.end('ok')
    deliver(topicOf(request), body)
  })
}

/** The port that the command line names. */
export function portOf(args: readonly string[]): number {
  return Number(args[2] ?? 3000)
}
