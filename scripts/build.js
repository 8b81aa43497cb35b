// Makes dist of both packages: what npm publishes. The client first, whose types the server reads from there.

import { buildSync } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

for (const name of ['client', 'hydrant']) {
  const folder = join(ROOT, 'packages', name)
  rmSync(join(folder, 'dist'), { recursive: true, force: true })
  compile(folder)
  copyPage(folder)
}
bundleClient()

/** @param {string} folder */
function compile(folder) {
  const { status } = spawnSync('tsc', ['-p', join(folder, 'tsconfig.build.json')], {
    cwd: ROOT,
    shell: process.platform === 'win32',
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
}

/** The client as one file, for pages without a build step: `<script type="module">`. */
function bundleClient() {
  buildSync({
    entryPoints: [join(ROOT, 'packages/client/src/index.ts')],
    outfile: join(ROOT, 'packages/client/dist/hydrant-client.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
  })
}

/**
 * The console's page is sent to browsers as it is.
 *
 * @param {string} folder
 */
function copyPage(folder) {
  const page = join('console', 'page')
  if (existsSync(join(folder, 'src', page))) {
    cpSync(join(folder, 'src', page), join(folder, 'dist', page), { recursive: true })
  }
}
