// The pages of docs/, taken apart: their fenced blocks and their tables.

import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const DOCS = fileURLToPath(new URL('../../../../docs/', import.meta.url))

/** A fenced block. */
export interface Block {
  /** `start.md:12`: the page, and the line of the fence. */
  readonly place: string
  readonly language: string
  readonly text: string
}

/** One page. */
export class Page {
  readonly name: string
  readonly text: string

  constructor(name: string) {
    this.name = name
    this.text = readFileSync(join(DOCS, name), 'utf8')
  }

  /** The fenced blocks of a language, in their order. */
  blocks(language: string): readonly Block[] {
    const fences = this.text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)
    return Array.from(fences, (match) => ({
      place: `${this.name}:${this.text.slice(0, match.index).split('\n').length}`,
      language: match[1] ?? '',
      text: match[2] ?? '',
    })).filter((block) => block.language === language)
  }

  /** The rows of the one table whose first column has this heading, cell by cell, as they stand. */
  table(heading: string): readonly (readonly string[])[] {
    const tables = this.text.split(/\n\n+/).filter((part) => part.startsWith('|'))
    const found = tables.map(rowsOf).filter(([head]) => head?.[0] === heading)
    const [rows] = found
    if (rows === undefined || found.length > 1)
      throw new Error(`${this.name} has ${found.length} tables that begin with ${heading}`)
    return rows.slice(2)
  }
}

/** All pages. */
export function allPages(): readonly Page[] {
  return globSync('*.md', { cwd: DOCS })
    .toSorted()
    .map((path) => new Page(basename(path)))
}

/** Cells may hold a bar as `\|`. */
function rowsOf(table: string): readonly (readonly string[])[] {
  return table
    .trim()
    .split('\n')
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll('\\|', '|')),
    )
}

/** The word of a cell `` `word` ``. */
export function codeOf(cell: string | undefined): string {
  return /^`([^`]*)`$/.exec(cell ?? '')?.[1] ?? ''
}
