// Debian's nginx: with the files of deploy/, or with nginx's own defaults.

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ProxyProcess, SERVER_ENV } from './proxy-process.ts'
import { replaceOnce } from './replace-once.ts'

const DEPLOY = new URL('../../../../deploy/', import.meta.url)

/** The files of deploy/ in front of a hub's port; `changes` are to single lines of theirs. */
export function startDeployedNginx(
  hubPort: number,
  changes: Readonly<Record<string, string>> = {},
): Promise<ProxyProcess> {
  const hydrantConf = readFileSync(new URL('nginx-hydrant.conf', DEPLOY), 'utf8')
  const nginxConf = readFileSync(new URL('nginx.conf', DEPLOY), 'utf8')
  const changesOf = (text: string): Readonly<Record<string, string>> =>
    Object.fromEntries(Object.entries(changes).filter(([from]) => text.includes(from)))
  const unknown = Object.keys(changes).filter((from) => !hydrantConf.includes(from) && !nginxConf.includes(from))
  if (unknown.length > 0) throw new Error(`the files of deploy/ have no ${unknown.join(', ')}`)
  return start((port, folder) => ({
    'nginx-hydrant.conf': replaceOnce(hydrantConf, {
      'listen 80;': `listen 127.0.0.1:${port};`,
      'server 127.0.0.1:3000;': `server 127.0.0.1:${hubPort};`,
      ...changesOf(hydrantConf),
    }),
    'nginx.conf': replaceOnce(nginxConf, {
      'include nginx-hydrant.conf;': `${paths(folder)} include nginx-hydrant.conf;`,
      'worker_processes auto;': 'worker_processes 2;',
      ...changesOf(nginxConf),
    }),
  }))
}

/** What people have before they read about streams: `proxy_pass`, and nothing else. */
export function startDefaultNginx(hubPort: number): Promise<ProxyProcess> {
  return start((port, folder) => ({
    'nginx.conf': `events {}
      http {
        ${paths(folder)}
        server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${hubPort}; } }
      }`,
  }))
}

/** `nginx -s reload`: new workers take what comes; the old ones keep what they have, until they may no longer. */
export async function reloadNginx(nginx: ProxyProcess): Promise<void> {
  const [, ...args] = commandOf(nginx.folder)
  await promisify(execFile)('nginx', [...args, '-s', 'reload'], { env: SERVER_ENV })
}

function start(files: (port: number, folder: string) => Readonly<Record<string, string>>): Promise<ProxyProcess> {
  return ProxyProcess.start(files, commandOf)
}

/** What would touch the machine is said beside the configuration, so that this stays as it is. */
function commandOf(folder: string): readonly [string, ...string[]] {
  const here = `daemon off; pid ${join(folder, 'pid')}; error_log ${join(folder, 'error.log')};`
  return ['nginx', '-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf'), '-g', here]
}

/** Files that nginx writes at places which only root may use. */
function paths(folder: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `access_log off; ${temporary.map((name) => `${name}_temp_path ${join(folder, name)};`).join(' ')}`
}
