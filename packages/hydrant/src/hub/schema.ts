// The user's own schemas: what the data of a topic must be. Any library that speaks Standard Schema will do (Zod,
// Valibot, ArkType …): https://standardschema.dev, version 1, described here structurally.

import { HydrantError } from './errors.ts'
import type { CheckedEvent, JsonValue } from './event.ts'
import { matchesTopic, parsePattern } from './topic.ts'

/** A schema, as far as we use it. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What a schema says of a value. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] }

/** What is wrong with a value, and where in it. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Schemas by topic or pattern; the first one that matches a topic counts. */
export type Schemas = { readonly [pattern: string]: StandardSchema }

/** No schemas at all: any data that JSON can say, and bytes. */
export type NoSchemas = Record<never, never>

/** The topics that a pattern matches, as a type: `stocks/*` is `stocks/${string}`. */
export type TopicOf<Pattern extends string> = Pattern extends `${infer Head}/${infer Rest}`
  ? `${SegmentOf<Head>}/${TopicOf<Rest>}`
  : SegmentOf<Pattern>

type SegmentOf<Segment extends string> = Segment extends '*' | '**' ? string : Segment

type TypesOf<Schema extends StandardSchema> = NonNullable<Schema['~standard']['types']>

/** What may be published to a topic: what its schema takes in; without a schema, whatever JSON can say, and bytes. */
export type InputOf<Of extends Schemas, Topic extends string> = OrElse<
  { [P in keyof Of & string]: Topic extends TopicOf<P> ? TypesOf<Of[P]>['input'] : never }[keyof Of & string],
  JsonValue | Uint8Array
>

/** What an event of a topic or pattern holds: what its schema gives out; without a schema it is not known. */
export type OutputOf<Of extends Schemas, Topic extends string> = OrElse<
  { [P in keyof Of & string]: Topic extends TopicOf<P> ? TypesOf<Of[P]>['output'] : never }[keyof Of & string],
  unknown
>

type OrElse<Type, Otherwise> = [Type] extends [never] ? Otherwise : Type

/** Topics whose schema is remembered between events. */
const REMEMBERED_TOPICS_MAX = 10_000

/** Holds events against the schemas of their topics. */
export class SchemaCheck {
  readonly #schemas: readonly (readonly [pattern: string, schema: StandardSchema])[]
  readonly #byTopic = new Map<string, StandardSchema | undefined>()

  /** Throws a HydrantError `malformed-pattern` for a name that is none. */
  constructor(schemas: Schemas) {
    this.#schemas = Object.entries(schemas)
    for (const [pattern] of this.#schemas) parsePattern(pattern)
  }

  /** Whether there is nothing to check. */
  get isEmpty(): boolean {
    return this.#schemas.length === 0
  }

  /**
   * Rejects with a HydrantError `invalid-data` that says what is wrong and where. Text fits when the JSON that it is
   * fits, or the text itself. What was sent is published as it is: schemas check, they do not change.
   */
  async check(event: CheckedEvent): Promise<void> {
    const schema = this.#schemaOf(event.topic)
    if (schema === undefined) return
    let issues: readonly SchemaIssue[] = []
    for (const value of readingsOf(event.data)) {
      const result = await schema['~standard'].validate(value)
      if (result.issues === undefined) return
      if (issues.length === 0) issues = result.issues
    }
    const faults = issues
      .slice(0, 5)
      .map(({ message, path = [] }) => `${path.map(keyOf).join('.') || 'data'}: ${message}`)
    throw new HydrantError('invalid-data', `The data does not fit the schema of ${event.topic}. ${faults.join('; ')}.`)
  }

  #schemaOf(topic: string): StandardSchema | undefined {
    if (this.#byTopic.has(topic)) return this.#byTopic.get(topic)
    if (this.#byTopic.size >= REMEMBERED_TOPICS_MAX) this.#byTopic.clear()
    const schema = this.#schemas.find(([pattern]) => matchesTopic(pattern, topic))?.[1]
    this.#byTopic.set(topic, schema)
    return schema
  }
}

/** What data may be taken for: the JSON of a text before the text itself. */
function readingsOf(data: string | Uint8Array): readonly unknown[] {
  if (typeof data !== 'string') return [data]
  const value = jsonOf(data)
  return value === undefined ? [data] : [value, data]
}

/** The JSON of a text; undefined when it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // text need not be JSON
  }
}

function keyOf(step: PropertyKey | { readonly key: PropertyKey }): string {
  return String(typeof step === 'object' ? step.key : step)
}
