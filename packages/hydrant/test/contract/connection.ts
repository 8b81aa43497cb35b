// The contract of transport/connection.ts, as tests that every implementation runs: real sockets, and a client that
// reads when it is told to.

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Connection, type ConnectionOwner } from '../../src/transport/connection.ts'
import { until } from '../support/until.ts'

/** Both ends of one open connection. */
export interface ConnectionPair {
  readonly connection: Connection
  readonly client: ConnectionClient
  /** Closes whatever was opened for it. */
  close(): Promise<void>
}

/** The far end. It reads, until it is paused. */
export interface ConnectionClient {
  /** What arrived, without the transport's framing. */
  received(): Buffer
  pause(): void
  resume(): void
  /** Goes away without a word. */
  vanish(): void
  /** How it ended: in an orderly way, or cut off; undefined while it is open. */
  ended(): 'orderly' | 'cut' | undefined
}

/** An implementation, as the contract takes it. */
export interface ConnectionUnderTest {
  open(owner: ConnectionOwner): Promise<ConnectionPair>
  /** Puts the transport's framing around bytes, as its formats do. */
  frame(bytes: Buffer): Uint8Array
}

/** Registers the tests of the contract for an implementation. */
export function connectionContract(name: string, subject: ConnectionUnderTest): void {
  suite(`${name} keeps the contract of connections`, () => {
    testSending(subject)
    testStalling(subject)
    testEnding(subject)
  })
}

function testSending(subject: ConnectionUnderTest): void {
  test('what is sent arrives, whole and in order', async () => {
    await using it = await Opened.by(subject)
    const sent = Array.from({ length: 500 }, (_, at) => pieceOf(at, 1 + ((at * 37) % 3_000)))
    for (const piece of sent) {
      it.send(piece)
      if (it.connection.isStalled) await until(() => !it.connection.isStalled, 'a drain')
    }
    await it.receives(Buffer.concat(sent))
    assert.equal(it.owner.closes, 0)
  })

  test('the bytes belong to everybody: they are the same after they were sent', async () => {
    await using it = await Opened.by(subject)
    const bytes = subject.frame(pieceOf(1, 10_000))
    const before = Buffer.from(bytes)
    it.connection.send(bytes)
    await until(() => it.client.received().length === 10_000, 'the bytes')
    assert.ok(Buffer.from(bytes).equals(before))
  })
}

function testStalling(subject: ConnectionUnderTest): void {
  test('a client that does not read makes it answer false; once it reads on it drains, and all arrives', async () => {
    await using it = await Opened.by(subject)
    const sent = [await it.stall()]
    const before = it.owner.drains
    it.client.resume()
    await until(() => it.owner.drains > before, 'the drain')
    for (let at = 0; at < 10; at += 1) {
      const piece = pieceOf(at, 100)
      sent.push(piece)
      it.send(piece)
    }
    await it.receives(Buffer.concat(sent))
  })

  test('it drains as often as it stalls, and never otherwise', async () => {
    await using it = await Opened.by(subject)
    const sent: Buffer[] = []
    for (let round = 1; round <= 3; round += 1) {
      sent.push(await it.stall())
      it.client.resume()
      await it.receives(Buffer.concat(sent))
    }
    await until(() => !it.connection.isStalled, 'the last drain')
    it.send(pieceOf(0, 1))
    await it.receives(Buffer.concat([...sent, pieceOf(0, 1)]))
    assert.deepEqual([it.owner.drains, it.owner.closes], [it.stalls, 0])
  })

  test('one that was destroyed while it was stalled is closed once, and never drains', async () => {
    await using it = await Opened.by(subject)
    await it.stall()
    const { drains } = it.owner
    it.connection.destroy()
    it.client.resume()
    await until(() => it.client.ended() !== undefined, 'the end')
    await it.settle()
    assert.deepEqual([it.owner.drains, it.owner.closes], [drains, 1])
  })
}

function testEnding(subject: ConnectionUnderTest): void {
  test('a client that vanishes closes it, once', async () => {
    await using it = await Opened.by(subject)
    it.client.vanish()
    await until(() => it.owner.closes > 0, 'the close')
    assert.ok(it.connection.isClosed)
    it.connection.end(undefined)
    it.connection.destroy()
    await it.settle()
    assert.equal(it.owner.closes, 1)
  })

  test('a client that vanishes while it is stalled closes it, once, without a drain', async () => {
    await using it = await Opened.by(subject)
    await it.stall()
    const { drains } = it.owner
    it.client.vanish()
    await until(() => it.owner.closes > 0, 'the close')
    await it.settle()
    assert.deepEqual([it.owner.drains, it.owner.closes], [drains, 1])
  })

  test('end lets everything arrive that was sent, and ends in an orderly way', async () => {
    await using it = await Opened.by(subject)
    const sent = Array.from({ length: 20 }, (_, at) => pieceOf(at, 1_000))
    for (const piece of sent) it.send(piece)
    it.connection.end('shutting-down')
    assert.ok(it.connection.isClosed)
    await until(() => it.client.ended() !== undefined, 'the end')
    assert.equal(it.client.ended(), 'orderly')
    await it.receives(Buffer.concat(sent))
    assert.equal(it.owner.closes, 1)
  })

  test('destroy ends at once', async () => {
    await using it = await Opened.by(subject)
    it.send(pieceOf(1, 100))
    await it.receives(pieceOf(1, 100))
    it.connection.destroy()
    assert.ok(it.connection.isClosed)
    it.send(pieceOf(2, 100))
    await until(() => it.client.ended() !== undefined, 'the end')
    await it.receives(pieceOf(1, 100))
    assert.equal(it.owner.closes, 1)
  })

  for (const [words, finish] of [
    ['ended', (connection) => connection.end(undefined)],
    ['destroyed', (connection) => connection.destroy()],
    ['left by its client', undefined],
  ] as readonly (readonly [string, ((connection: Connection) => void) | undefined])[]) {
    test(`one that was ${words} takes whatever comes: it answers true, and nothing happens`, async () => {
      await using it = await Opened.by(subject)
      if (finish === undefined) it.client.vanish()
      else finish(it.connection)
      await until(() => it.owner.closes === 1, 'the close')
      for (let at = 0; at < 10; at += 1) assert.equal(it.connection.send(subject.frame(pieceOf(at, 100_000))), true)
      it.connection.end('lagged')
      it.connection.destroy()
      it.connection.end(undefined)
      await it.settle()
      assert.deepEqual([it.owner.drains, it.owner.closes], [0, 1])
    })
  }
}

/** Counts what a connection tells. */
class CountingOwner implements ConnectionOwner {
  drains = 0
  closes = 0

  drained(connection: Connection): void {
    connection.isStalled = false
    this.drains += 1
  }

  closed(): void {
    this.closes += 1
  }
}

/** A connection under test, with its owner and its client. */
class Opened implements AsyncDisposable {
  readonly owner: CountingOwner
  /** How often it answered false. */
  stalls = 0
  readonly #subject: ConnectionUnderTest
  readonly #pair: ConnectionPair

  private constructor(subject: ConnectionUnderTest, owner: CountingOwner, pair: ConnectionPair) {
    this.#subject = subject
    this.owner = owner
    this.#pair = pair
  }

  static async by(subject: ConnectionUnderTest): Promise<Opened> {
    const owner = new CountingOwner()
    return new Opened(subject, owner, await subject.open(owner))
  }

  get connection(): Connection {
    return this.#pair.connection
  }

  get client(): ConnectionClient {
    return this.#pair.client
  }

  /** Sends as the pump does: it notes that the connection holds bytes. */
  send(bytes: Buffer): void {
    if (this.connection.send(this.#subject.frame(bytes))) return
    this.connection.isStalled = true
    this.stalls += 1
  }

  /** Pauses the client, and sends until the connection holds bytes for good; answers what was sent. */
  async stall(): Promise<Buffer> {
    this.client.pause()
    const sent: Buffer[] = []
    for (let stalledTurns = 0; stalledTurns < 20;) {
      await turn()
      stalledTurns = this.connection.isStalled ? stalledTurns + 1 : 0
      if (this.connection.isStalled) continue
      assert.ok(sent.length < 2_000, 'it takes 128 MB without a word')
      const piece = pieceOf(sent.length, 65_536)
      sent.push(piece)
      this.send(piece)
    }
    return Buffer.concat(sent)
  }

  async receives(bytes: Buffer): Promise<void> {
    await until(() => this.client.received().length >= bytes.length, `${bytes.length} bytes`)
    assert.ok(this.client.received().equals(bytes), 'what arrived is not what was sent')
  }

  /** Lets everything happen that is still on its way. */
  async settle(): Promise<void> {
    for (let at = 0; at < 20; at += 1) await turn()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pair.close()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

/** Bytes that tell their own number. */
function pieceOf(number: number, length: number): Buffer {
  return Buffer.alloc(length, `${number} `)
}
