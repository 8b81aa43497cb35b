// A connection that is found again: opened, lost, located and opened anew, with pauses that grow and differ.

import { HydrantError } from '../hub/errors.ts'
import { openRedisClient, type RedisArgs, type RedisClient, type RedisClientOptions } from './redis-client.ts'
import { listOf } from './redis-layout.ts'
import { locate } from './redis-locator.ts'
import type { RedisScript } from './redis-script.ts'
import type { RedisAddress } from './redis-url.ts'

/** What a connection is made with. */
export interface RedisConnectionOptions {
  readonly address: RedisAddress
  readonly login: Pick<RedisClientOptions, 'username' | 'password' | 'tls'>
  /** A name of the log, by which a cluster finds its server. */
  readonly key: string
  /** How long one attempt, and one answer, may take. */
  readonly timeoutMs: number
  /** Hears that it is open; what it rejects with closes the connection again. */
  readonly onUp: () => Promise<void>
  /** Hears that it is lost, or could not be opened, each time. */
  readonly onDown: (reason: string) => void
  readonly onMessage?: (channel: string, message: Buffer) => void
}

const PAUSE_MS = 50
const PAUSE_MAX_MS = 2_000

/** Errors of a server that is not, or no longer, the one to ask. */
const ELSEWHERE = /^(?:READONLY|MOVED|ASK|CLUSTERDOWN|MASTERDOWN|LOADING|UNBLOCKED)\b/

/** See the head of the file. */
export class RedisConnection {
  readonly #options: RedisConnectionOptions
  #client: RedisClient | undefined
  #isClosed = false
  #attempts = 0
  #heardMs = 0
  #pause: NodeJS.Timeout | undefined
  #endPause: (() => void) | undefined
  #reason = 'it was not opened yet'
  #finding: Promise<void> | undefined

  constructor(options: RedisConnectionOptions) {
    this.#options = options
  }

  /** Whether there is a server that listens. */
  get isUp(): boolean {
    return this.#client !== undefined
  }

  /** Opens it for the first time; rejects with what went wrong. From then on it stays open by itself. */
  async open(): Promise<void> {
    await this.#attempt()
  }

  /**
   * Sends a command. Rejects with a HydrantError `unavailable` when there is no connection, when it is lost meanwhile,
   * or when no answer comes in time: then it is opened anew, so that what still waits in the server is dropped.
   */
  async send(args: RedisArgs): Promise<unknown> {
    const client = this.#up()
    return this.#answer(client, client.send(args))
  }

  /** Runs a script; its text is sent where the server does not know it. */
  async run(script: RedisScript, key: string, args: RedisArgs): Promise<unknown> {
    const client = this.#up()
    const keyAndArgs = ['1', key, ...args]
    const answer = client.send(['EVALSHA', script.sha, ...keyAndArgs]).catch((error: unknown) => {
      // Then nothing was run: sending it again stores nothing twice.
      if (!String(error).includes('NOSCRIPT')) throw error
      return client.send(['EVAL', script.text, ...keyAndArgs])
    })
    return this.#answer(client, answer)
  }

  /** Sends commands between which nothing else runs; answers theirs. */
  async transaction(commands: readonly RedisArgs[]): Promise<readonly unknown[]> {
    const client = this.#up()
    // Sent in one turn, so that nothing of ours comes in between.
    const parts = [client.send(['MULTI']), ...commands.map((command) => client.send(command))]
    for (const part of parts) part.catch(() => {}) // EXEC tells
    return listOf(await this.#answer(client, client.send(['EXEC'])))
  }

  /** Resolves when the messages of these channels come. */
  async subscribe(channels: readonly string[]): Promise<void> {
    const client = this.#up()
    if (channels.length > 0) await this.#answer(client, client.subscribe(channels))
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    const client = this.#up()
    if (channels.length > 0) await this.#answer(client, client.unsubscribe(channels))
  }

  /** Gives the connection up, and opens another one. */
  renew(reason: string): void {
    const client = this.#client
    if (client === undefined) return
    client.destroy()
    this.#lost(client, reason)
  }

  /** Gives it up if nothing was said on it for as long as an answer may take: then it may be dead, and nobody know. */
  doubt(): void {
    if (performance.now() - this.#heardMs >= this.#options.timeoutMs) this.renew('no message came')
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#pause)
    this.#endPause?.()
    this.#client?.destroy()
    this.#client = undefined
    await this.#finding
  }

  #up(): RedisClient {
    if (this.#client === undefined) throw unavailable(this.#reason)
    return this.#client
  }

  async #answer<Answer>(client: RedisClient, answer: Promise<Answer>): Promise<Answer> {
    const { timeoutMs } = this.#options
    const { promise: tooLate, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      const reason = `it did not answer for ${timeoutMs} ms`
      reject(unavailable(reason))
      if (client === this.#client) this.renew(reason)
    }, timeoutMs)
    answer.catch(() => {}) // told below, unless it was too late anyway
    try {
      return await Promise.race([answer, tooLate])
    } catch (error) {
      if (error instanceof HydrantError) throw error
      const reason = error instanceof Error ? error.message : String(error)
      if (ELSEWHERE.test(reason) && client === this.#client) this.renew(reason)
      throw unavailable(reason, error)
    } finally {
      clearTimeout(timer)
    }
  }

  async #attempt(): Promise<void> {
    const { address, login, key, timeoutMs, onUp, onMessage = () => {} } = this.#options
    const { database } = address
    const host = await locate(address, { ...login, connectMs: timeoutMs }, key)
    const hear = {
      onLost: (reason: string) => this.#lost(client, reason),
      onMessage: (channel: string, message: Buffer) => {
        this.#heardMs = performance.now()
        onMessage(channel, message)
      },
    }
    const client = await openRedisClient({ ...host, ...login, database, connectMs: timeoutMs, ...hear })
    if (this.#isClosed) return client.destroy()
    this.#client = client
    this.#heardMs = performance.now()
    try {
      await onUp()
      this.#attempts = 0
    } catch (error) {
      client.destroy()
      if (this.#client === client) this.#client = undefined
      throw error
    }
  }

  #lost(client: RedisClient, reason: string): void {
    if (client !== this.#client || this.#isClosed) return
    this.#client = undefined
    this.#down(reason)
    this.#finding ??= this.#find().finally(() => (this.#finding = undefined))
  }

  async #find(): Promise<void> {
    while (!this.#isClosed && this.#client === undefined) {
      await this.#rest()
      if (this.#isClosed) return
      try {
        await this.#attempt()
      } catch (error) {
        this.#down(error instanceof Error ? error.message : String(error))
      }
    }
  }

  /** At random, so that not all nodes come back in the same moment; longer each time. */
  async #rest(): Promise<void> {
    const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** this.#attempts) * (0.5 + Math.random() / 2)
    this.#attempts += 1
    await new Promise<void>((resolve) => {
      this.#endPause = resolve
      this.#pause = setTimeout(resolve, pauseMs)
    })
  }

  #down(reason: string): void {
    this.#reason = reason
    this.#options.onDown(reason)
  }
}

/** What callers are told of a Redis that does not answer. */
export function unavailable(reason: string, cause?: unknown): HydrantError {
  return new HydrantError('unavailable', `Redis cannot be asked: ${reason}.`, { cause })
}
