// The files of deploy/, read as those read them who use them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'

/** Where they are. */
export const DEPLOY: string = fileURLToPath(new URL('../../../../deploy/', import.meta.url))

/** The text of one. */
export function deployText(name: string): string {
  return readFileSync(join(DEPLOY, name), 'utf8')
}

/** A Compose file, with what its anchors stand for. */
export function composeFile(name: string): Tree {
  const value: unknown = parse(deployText(name), { merge: true })
  return new Tree(value)
}

/** The resources of a Kubernetes file, in their order. */
export function manifests(name: string): readonly Tree[] {
  return parseAllDocuments(deployText(`kubernetes/${name}`)).map((document) => {
    const value: unknown = document.toJS()
    return new Tree(value)
  })
}

/** What a YAML file holds, looked at by paths: `spec.template.spec.containers.0.name`. */
export class Tree {
  readonly value: unknown

  constructor(value: unknown) {
    this.value = value
  }

  /** What is there; a tree of nothing where nothing is. */
  at(path: string): Tree {
    let tree = new Tree(this.value)
    for (const name of path.split('.')) tree = new Map(tree.entries).get(name) ?? new Tree(undefined)
    return tree
  }

  /** A text or number as a text, else empty. */
  get text(): string {
    return typeof this.value === 'string' || typeof this.value === 'number' ? String(this.value) : ''
  }

  /** A number, else NaN. */
  get number(): number {
    return typeof this.value === 'number' ? this.value : Number.NaN
  }

  /** Names, or places, and what they name. */
  get entries(): readonly (readonly [string, Tree])[] {
    if (typeof this.value !== 'object' || this.value === null) return []
    return Object.entries(this.value).map(([name, value]) => [name, new Tree(value)])
  }

  get items(): readonly Tree[] {
    return this.entries.map(([, tree]) => tree)
  }
}
