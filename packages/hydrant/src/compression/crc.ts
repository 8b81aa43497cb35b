// CRC-32 of streams that many share: what a client got is put together from what it got alone and what all got.
//
// A CRC is a remainder, so the CRC of A followed by B is that of A, carried over as many zero bits as B has, xor that
// of B. Carrying over 2^n bits is a matrix over GF(2), squared n times (Adler's zlib has it as crc32_combine). The same
// equation gives the CRC of B from those of A and AB: that is how a client's share of a feed is found at its end.

import { crc32 } from 'node:zlib'

const POLYNOMIAL = 0xedb88320

type Matrix = readonly number[]

/** A run of bytes, as its trailer needs it. */
export interface Sum {
  readonly crc: number
  /** Bytes. */
  readonly length: number
}

/** The sum of no bytes. */
export const NOTHING: Sum = { crc: 0, length: 0 }

/** The sum of some bytes after others. */
export function addBytes({ crc, length }: Sum, bytes: Uint8Array): Sum {
  return { crc: crc32(bytes, crc), length: length + bytes.length }
}

/** The sum of one run after another. */
export function join(before: Sum, after: Sum): Sum {
  return { crc: (carry(before.crc, after.length) ^ after.crc) >>> 0, length: before.length + after.length }
}

/** The sum of what came after `before` in a run that is `whole` now. */
export function since(before: Sum, whole: Sum): Sum {
  const length = whole.length - before.length
  return { crc: (whole.crc ^ carry(before.crc, length)) >>> 0, length }
}

/** A CRC carried over so many zero bytes. */
function carry(crc: number, bytes: number): number {
  let carried = crc
  let rest = bytes
  for (let power = 0; rest > 0; power += 1, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) carried = times(matrixOf(power), carried)
  }
  return carried
}

/** Carries over 2^power zero bytes. */
function matrixOf(power: number): Matrix {
  const known = matrices[power]
  if (known !== undefined) return known
  const half = power === 0 ? squared(squared(ONE_BIT)) : matrixOf(power - 1)
  const matrix = squared(half)
  matrices[power] = matrix
  return matrix
}

const matrices: Matrix[] = []

/** Carries over one zero bit: column n is what becomes of bit n. */
const ONE_BIT: Matrix = Array.from({ length: 32 }, (_, bit) => (bit === 0 ? POLYNOMIAL : 2 ** (bit - 1)))

function squared(matrix: Matrix): Matrix {
  return matrix.map((column) => times(matrix, column))
}

function times(matrix: Matrix, vector: number): number {
  let sum = 0
  for (let bit = 0; bit < 32; bit += 1) if ((vector >>> bit) & 1) sum ^= matrix[bit] ?? 0
  return sum >>> 0
}
