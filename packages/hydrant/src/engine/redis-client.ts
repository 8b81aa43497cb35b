// One connection to one Redis server: the only file that imports its driver. It is opened once, and lost once; finding
// the server again is redis-connection.ts's work.

import { createClient, RESP_TYPES } from '@redis/client'
import type { SecureContextOptions } from 'node:tls'
import type { RedisHost } from './redis-url.ts'

/** What a command is made of. */
export type RedisArgs = readonly (string | Buffer)[]

/** How to open it. */
export interface RedisClientOptions extends RedisHost {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** TLS with these; undefined: plain TCP. */
  readonly tls: SecureContextOptions | undefined
  /** From the first packet to the answer to the login. */
  readonly connectMs: number
  /** Hears, once, that a connection that was open is lost. */
  readonly onLost: (reason: string) => void
  /** Hears of messages, in their order. */
  readonly onMessage: (channel: string, message: Buffer) => void
}

/** See the head of the file. */
export interface RedisClient {
  /** Sends a command; texts of the answer are Buffers. Rejects with an Error of the driver's, or of the server's. */
  send(args: RedisArgs): Promise<unknown>
  /** Resolves when the messages of these channels come. */
  subscribe(channels: readonly string[]): Promise<void>
  unsubscribe(channels: readonly string[]): Promise<void>
  /** Ends it at once; what waits for an answer is rejected. `onLost` is not called. */
  destroy(): void
}

const AS_BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } }

/** Opens a connection and logs in. Rejects with an Error when that fails or takes too long. */
export async function openRedisClient(options: RedisClientOptions): Promise<RedisClient> {
  const { host, port, username, password, database, tls, connectMs, onLost, onMessage } = options
  const shared = { host, port, reconnectStrategy: false, connectTimeout: connectMs } as const
  const client = createClient({
    RESP: 2,
    name: 'hydrant',
    socket: tls === undefined ? shared : { ...shared, ...tls, servername: host, tls: true },
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    database,
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    commandOptions: { timeout: 0 },
  })
  let isOpen = false
  const lose = (reason: string): void => {
    if (!isOpen) return
    isOpen = false
    onLost(reason)
    destroy()
  }
  const destroy = (): void => {
    isOpen = false
    if (client.isOpen) client.destroy()
  }
  // Without a listener the driver would end the process.
  client.on('error', (error: unknown) => lose(error instanceof Error ? error.message : String(error)))
  client.on('end', () => lose('the connection was closed'))
  client.on('sharded-channel-moved', () => lose('the log moved to another server of the cluster'))
  const listener = (message: Buffer, channel: Buffer): void =>
    onMessage(channel.toString('latin1', 0, channel.length), message)
  const { promise: tooLate, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no answer to the login in ${connectMs} ms`)), connectMs)
  try {
    const connecting = client.connect()
    connecting.catch(() => {}) // told below, unless it was too late anyway
    await Promise.race([connecting, tooLate])
    isOpen = true
  } catch (error) {
    destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
  return {
    send: (args) => client.sendCommand([...args], AS_BYTES),
    subscribe: (channels) => client.sSubscribe([...channels], listener, true),
    unsubscribe: (channels) => client.sUnsubscribe([...channels], listener, true),
    destroy,
  }
}
