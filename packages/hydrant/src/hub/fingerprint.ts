// A fingerprint of a batch: tells a retry of a request from another request with the same idempotency key.

import type { CheckedEvent } from './event.ts'

/**
 * A fingerprint of a batch: its length and two 32-bit hashes (FNV-1a and a variant) over all fields. Not
 * against forgery: a
 * publisher could only fool itself.
 */
export function fingerprintOf(batch: readonly CheckedEvent[]): string {
  const hash = new Fingerprint()
  for (const event of batch) {
    hash.text(event.topic)
    hash.text(event.type)
    hash.text(event.key ?? '\0')
    if (typeof event.data === 'string') hash.text(event.data)
    else hash.bytes(event.data)
  }
  return hash.end()
}

class Fingerprint {
  #a = 0x811c9dc5
  #b = 0x9e3779b9
  #length = 0

  text(text: string): void {
    for (let at = 0; at < text.length; at += 1) this.#mix(text.charCodeAt(at))
    this.#mix(0x10001) // no character: keeps ('ab', 'c') apart from ('a', 'bc')
  }

  bytes(bytes: Uint8Array): void {
    for (const byte of bytes) this.#mix(byte)
    this.#mix(0x10002) // keeps bytes apart from the text that looks like them
  }

  end(): string {
    return `${this.#length}-${(this.#a >>> 0).toString(16)}-${(this.#b >>> 0).toString(16)}`
  }

  #mix(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x01000193)
    this.#b = Math.imul(this.#b ^ value, 0x85ebca6b)
    this.#b ^= this.#b >>> 13
    this.#length += 1
  }
}
