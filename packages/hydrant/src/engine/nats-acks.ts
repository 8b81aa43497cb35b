// Acknowledgements of what is published: all over one subscription, told apart by a number, and given up together once
// they are late. The driver's own requests have a timer and several promises each, and cost as much again as all the
// rest.

import { NatsLost, NatsRefusal } from './nats-errors.ts'

/** Where a message was stored. */
export interface Stored {
  readonly seq: number
  /** It was stored before, with the same message id. */
  readonly isDuplicate: boolean
}

/** An acknowledgement as it arrives. */
export interface Answer {
  readonly subject: string
  readonly data: Uint8Array
}

interface Waiting {
  readonly lateMs: number
  readonly resolve: (stored: Stored) => void
  readonly reject: (error: Error) => void
}

const SWEEPS = 10

/** See the head of the file. */
export class NatsAcks {
  readonly #inbox: string
  readonly #answerMs: number
  /** In the order in which they were sent, and so in that in which they are late. */
  readonly #waiting = new Map<number, Waiting>()
  readonly #text = new TextDecoder()
  #sent = 0
  #sweeps: NodeJS.Timeout | undefined
  #ended: Error | undefined

  /** Answers arrive at subjects that begin with `inbox` and a dot. */
  constructor(inbox: string, answerMs: number) {
    this.#inbox = `${inbox}.`
    this.#answerMs = answerMs
  }

  /** Sends with the subject of an answer, and waits for that. Rejects with NatsRefusal or NatsLost. */
  ask(send: (reply: string) => void): Promise<Stored> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    const number = (this.#sent += 1)
    const asked = new Promise<Stored>((resolve, reject) => {
      this.#waiting.set(number, { lateMs: performance.now() + this.#answerMs, resolve, reject })
    })
    this.#sweeps ??= setInterval(() => this.#sweep(), this.#answerMs / SWEEPS)
    try {
      send(this.#inbox + String(number))
    } catch (error) {
      this.#settle(number)?.reject(new NatsLost('NATS cannot be asked.', { cause: error }))
    }
    return asked
  }

  /** Takes an answer. */
  take({ subject, data }: Answer): void {
    const waiting = this.#settle(Number(subject.slice(this.#inbox.length)))
    if (waiting === undefined) return // it was given up
    const answer = data.length === 0 ? undefined : parse(this.#text.decode(data))
    if (answer instanceof NatsRefusal) waiting.reject(answer)
    else if (answer === undefined) waiting.reject(new NatsLost('No stream takes what is published.'))
    else waiting.resolve(answer)
  }

  /** No answer will come any more. */
  end(reason: string): void {
    this.#ended ??= new NatsLost(reason)
    for (const number of this.#waiting.keys()) this.#settle(number)?.reject(this.#ended)
  }

  #settle(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    if (this.#waiting.size > 0) return waiting
    clearInterval(this.#sweeps)
    this.#sweeps = undefined
    return waiting
  }

  #sweep(): void {
    const nowMs = performance.now()
    for (const [number, { lateMs }] of this.#waiting) {
      if (lateMs > nowMs) return
      this.#settle(number)?.reject(new NatsLost('NATS does not answer: no acknowledgement came in time.'))
    }
  }
}

/** What NATS says: `{"stream": …, "seq": 7, "duplicate": true}`, or `{"error": {"err_code": …, "description": …}}`. */
function parse(text: string): Stored | NatsRefusal | undefined {
  const answer = jsonOf(text)
  if (typeof answer !== 'object' || answer === null) return undefined
  if ('error' in answer) return refusalOf(answer.error)
  if (!('seq' in answer) || typeof answer.seq !== 'number') return undefined
  return { seq: answer.seq, isDuplicate: 'duplicate' in answer && answer.duplicate === true }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // not of a stream: somebody else listens to what is published, and answers
  }
}

function refusalOf(error: unknown): NatsRefusal {
  if (typeof error !== 'object' || error === null) return new NatsRefusal(0, 'no reason given')
  const code = 'err_code' in error && typeof error.err_code === 'number' ? error.err_code : 0
  const words = 'description' in error && typeof error.description === 'string' ? error.description : 'no reason given'
  return new NatsRefusal(code, words)
}
