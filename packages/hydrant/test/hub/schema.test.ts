// The user's schemas: held against what is published by every door, and known to the compiler.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHub, type HubEvent, type StandardSchema, type TopicOf } from 'hydrant'

/** A schema as the libraries make them: an object with a number `price`. */
const price: StandardSchema<{ price: number }> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof value === 'object' && value !== null && 'price' in value && typeof value.price === 'number'
        ? { value: { price: value.price } }
        : { issues: [{ message: 'must be a number', path: ['price'] }] },
  },
}

/** A schema that takes its time, and takes text only. */
const text: StandardSchema<string> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: async (value) => (typeof value === 'string' ? { value } : { issues: [{ message: 'must be a text' }] }),
  },
}

const schemas = { 'stocks/*': price, notes: text } as const

function post(hub: { fetch(request: Request): Promise<Response> }, path: string, body: string, type = 'text/plain') {
  return hub.fetch(new Request(`http://hub${path}`, { method: 'POST', body, headers: { 'content-type': type } }))
}

test('what does not fit its schema is refused, saying where, and stores nothing', async () => {
  const hub = createHub({ schemas })
  const message = 'The data does not fit the schema of stocks/A. price: must be a number.'
  // @ts-expect-error a price is a number, as the compiler knows, too
  await assert.rejects(hub.publish({ topic: 'stocks/A', data: { price: 'high' } }), { code: 'invalid-data', message })
  const response = await post(hub, '/events/stocks/A', '{"price":"high"}')
  assert.equal(response.status, 422)
  assert.equal(hub.window.head, 0)
  await hub.close()
})

test('one event of a batch that does not fit refuses the whole batch', async () => {
  const hub = createHub({ schemas })
  const batch = JSON.stringify([
    { topic: 'stocks/A', data: { price: 1 } },
    { topic: 'stocks/B', data: 2 },
  ])
  const response = await post(hub, '/events', batch, 'application/json')
  assert.equal(response.status, 422)
  assert.match(await response.text(), /Event 1: /)
  assert.equal(hub.window.head, 0)
  await hub.close()
})

test('of a stream of lines, everything before the one that does not fit is stored', async () => {
  const hub = createHub({ schemas })
  const lines = '{"topic":"stocks/A","data":{"price":1}}\n{"topic":"stocks/A","data":{}}\n{"topic":"free","data":1}\n'
  const response = await post(hub, '/events', lines, 'application/x-ndjson')
  assert.equal(response.status, 422)
  const problem: unknown = await response.json()
  assert.partialDeepStrictEqual(problem, { published: 1, code: 'invalid-data' })
  assert.match(JSON.stringify(problem), /"detail":"Line 2: /)
  await hub.close()
})

test('text fits as the JSON that it is, or as the text that it is', async () => {
  const hub = createHub({ schemas })
  assert.equal((await post(hub, '/events/stocks/A', '{"price": 1}')).status, 200)
  assert.equal((await post(hub, '/events/notes', '42')).status, 200)
  assert.equal((await post(hub, '/events/notes', 'not JSON at all')).status, 200)
  await hub.close()
})

test('what was sent is published as it is, and comes with the type of its schema', async () => {
  const hub = createHub({ schemas })
  const events = hub.subscribe('stocks/*')
  await post(hub, '/events/stocks/A', '{ "price": 1.50, "more": true }')
  const { value: delivery } = await events.next()
  assert.ok(delivery !== undefined && delivery.gap === undefined)
  const event: HubEvent<{ price: number }> = delivery
  assert.equal(event.data, '{ "price": 1.50, "more": true }')
  assert.equal(event.value.price, 1.5)
  await hub.close()
})

test('topics without a schema take whatever JSON can say', async () => {
  const hub = createHub({ schemas })
  await hub.publish({ topic: 'free', data: [1, { two: 'three' }] })
  await hub.publish({ topic: 'stocks', data: 'a name of one segment is not below it' })
  assert.equal(hub.window.head, 2)
  await hub.close()
})

test('a schema for something that is no topic is refused at once', () => {
  assert.throws(() => createHub({ schemas: { 'a//b': text } }), { code: 'malformed-pattern' })
})

test('patterns are types, too', () => {
  const deep: TopicOf<'a/*/c/**'> = 'a/anything/c/and/below'
  // @ts-expect-error the third segment is another one
  const other: TopicOf<'a/*/c/**'> = 'a/anything/d/and/below'
  assert.notEqual(deep, other)
})
