// The client as one file, as it is published for pages without a build step.

import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Bundles and minifies the client; answers the text of a JavaScript module. */
export async function bundleClient(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../../src/index.ts', import.meta.url))],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  })
  const [file] = outputFiles
  if (file === undefined) throw new Error('esbuild made no file')
  return file.text
}
