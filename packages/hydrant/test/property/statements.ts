// A watch over SQLite: something happens before each statement of this process, so that a test can stop between any
// two.

import { DatabaseSync, StatementSync } from 'node:sqlite'

type Method = (...values: unknown[]) => unknown

/** Calls `before` ahead of every statement that is run while `work` is done. What it throws, the statement throws. */
export function betweenStatements<Value>(before: () => void, work: () => Value): Value {
  const undo = [
    ...(['exec'] as const).map((name) => watch(DatabaseSync.prototype, name, before)),
    ...(['run', 'get', 'all'] as const).map((name) => watch(StatementSync.prototype, name, before)),
  ]
  try {
    return work()
  } finally {
    for (const one of undo) one()
  }
}

function watch(prototype: object, name: string, before: () => void): () => void {
  const method: unknown = Reflect.get(prototype, name)
  if (!isMethod(method)) throw new Error(`${name} is no method`)
  const watched = function (this: unknown, ...values: unknown[]): unknown {
    before()
    return method.apply(this, values)
  }
  Reflect.set(prototype, name, watched)
  return () => void Reflect.set(prototype, name, method)
}

function isMethod(value: unknown): value is Method {
  return typeof value === 'function'
}
