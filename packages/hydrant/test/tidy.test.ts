// The repository checks its own shape: each test is a rule that a reader may rely on, and a failure lists the
// offenders.

import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, matchesGlob } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const NOT_OURS = ['**/node_modules', '**/dist', '.git', '.cache', 'hydrant-data']
const LINES_MAX = 400
const COLUMNS_MAX = 120

const SOURCES = 'packages/*/src/**'
const TYPESCRIPT_SOURCES = 'packages/*/src/**/*.ts'
const TESTS = '**/*.test.ts'
const CODE = '**/*.{ts,js}'
const LOCKFILE = 'package-lock.json'

interface TextFile {
  readonly path: string
  readonly text: string
  readonly lines: readonly string[]
}

const allFiles: readonly TextFile[] = globSync(['**/*', '.*', '.*/**/*'], { cwd: ROOT, exclude: NOT_OURS })
  .filter((path) => statSync(join(ROOT, path)).isFile())
  .map(readText)
  .filter((file) => !file.text.includes('\0'))

test('every source file opens with a comment that says its reason', () => {
  const opensWithComment = /^(?:<!doctype html>\s*)?(?:\/\/|\/\*|<!--)/i
  refuse(
    filesIn(SOURCES)
      .filter((file) => !opensWithComment.test(file.text))
      .map(pathOf),
  )
})

test(`no source file has more than ${LINES_MAX} lines`, () => {
  const long = filesIn(SOURCES).filter((file) => file.lines.length > LINES_MAX)
  refuse(long.map((file) => `${file.path} has ${file.lines.length}`))
})

test(`no line of a source file is wider than ${COLUMNS_MAX} columns, but for addresses, which cannot be broken`, () => {
  const isTooWide = (line: string): boolean => line.length > COLUMNS_MAX && !/https?:\/\/\S/.test(line)
  refuse(filesIn(SOURCES).flatMap((file) => linesOf(file, isTooWide)))
})

test('every export of a TypeScript source has a doc comment right before it', () => {
  refuse(filesIn(TYPESCRIPT_SOURCES).flatMap(undocumentedExports))
})

// The patterns below are written so that this file does not match them: with [T] where T would do.
test('nothing is left for later: what is open is an issue, not a mark in a file', () => {
  const marks = /\b(?:[T]ODO|[F]IXME|[X]XX)\b/
  const files = filesIn('**').filter((file) => file.path !== LOCKFILE)
  refuse(files.flatMap((file) => placesOf(file, marks)))
})

test('no test is left out, and none leaves the others out', () => {
  const leftOut = /\.(?:only|skip)\(|\bonly:\s*true/
  refuse(filesIn(TESTS).flatMap((file) => placesOf(file, leftOut)))
})

test('no error is swallowed without a word: an empty catch says why it is empty', () => {
  const emptyCatch = /(?:\bcatch\s*(?:\(\s*\w*\s*\)\s*)?|\.catch\(\s*\(?\s*\w*\s*\)?\s*=>\s*)\{\s*\}(?!.*\/\/)/
  refuse(filesIn(CODE).flatMap((file) => placesOf(file, emptyCatch)))
})

test('every relative link in a Markdown file leads to a file', () => {
  refuse(filesIn('**/*.md').flatMap(deadLinks))
})

test('no file names a package registry, so that everybody can use their own', () => {
  const registry =
    /registry[.](?:npmjs[.]org|yarnpkg[.]com)|[.]pythonhosted[.]org|proxy[.]golang[.]org|deb[.]debian[.]org/
  refuse(filesIn('**').flatMap((file) => placesOf(file, registry)))
})

test("no file names a folder of somebody's machine", () => {
  const folder = /(?<![\w.:/})-])[/](?:work|root|home[/]\w+|Users[/]\w+)(?![\w-])/
  refuse(filesIn('**').flatMap((file) => placesOf(file, folder)))
})

function readText(path: string): TextFile {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return { path: path.replaceAll('\\', '/'), text, lines: text.replace(/\n$/, '').split('\n') }
}

/** Dotfiles match `**` too, which `matchesGlob` alone would leave out. */
function filesIn(glob: string): TextFile[] {
  return allFiles.filter((file) => glob === '**' || matchesGlob(file.path, glob))
}

function pathOf(file: TextFile): string {
  return file.path
}

function linesOf(file: TextFile, isOffender: (line: string) => boolean): string[] {
  return file.lines.flatMap((line, index) => (isOffender(line) ? [placeOf(file, index)] : []))
}

function placesOf(file: TextFile, pattern: RegExp): string[] {
  const matches = file.text.matchAll(new RegExp(pattern, 'g'))
  return Array.from(matches, (match) => placeOf(file, file.text.slice(0, match.index).split('\n').length - 1))
}

function placeOf(file: TextFile, lineIndex: number): string {
  return `${file.path}:${lineIndex + 1}  ${file.lines[lineIndex]?.trim().slice(0, 100)}`
}

/** The first of several overloads speaks for all of them. */
function undocumentedExports(file: TextFile): string[] {
  const declaration = /^export (?:default )?(?:abstract |async )*(?:function\*?|class|interface|type|const|let) (\w+)/
  const documented = new Set<string>()
  return file.lines.flatMap((line, index) => {
    const name = declaration.exec(line)?.[1]
    if (name === undefined || documented.has(name)) return []
    if (!hasDocComment(file.lines.slice(0, index))) return [placeOf(file, index)]
    documented.add(name)
    return []
  })
}

function hasDocComment(linesBefore: readonly string[]): boolean {
  const lines = linesBefore.filter((line) => !/^\/\/ (?:oxlint|eslint|prettier|@ts)-/.test(line))
  const start = lines.findLast((line) => /^\s*\/\*/.test(line))
  return lines.at(-1)?.endsWith('*/') === true && start?.startsWith('/**') === true
}

function deadLinks(file: TextFile): string[] {
  const prose = file.text.replaceAll(/^ *(```|~~~)[\s\S]*?^ *\1/gm, '').replaceAll(/`[^`\n]*`/g, '')
  const links = Array.from(
    prose.matchAll(/\]\(<?([^)\s>]+)|^\[[^\]]+\]: *(\S+)/gm),
    (match) => match[1] ?? match[2] ?? '',
  )
  return links.filter((link) => isDead(file, link)).map((link) => `${file.path}  ${link}`)
}

function isDead(file: TextFile, link: string): boolean {
  if (/^(?:[a-z][a-z+.-]*:|#|\/\/)/i.test(link)) return false
  const path = decodeURI(link.replace(/[#?].*$/, ''))
  return !existsSync(path.startsWith('/') ? join(ROOT, path) : join(ROOT, dirname(file.path), path))
}

function refuse(offenders: readonly string[]): void {
  assert.ok(offenders.length === 0, `\n  ${offenders.join('\n  ')}`)
}
