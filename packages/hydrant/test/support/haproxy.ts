// Debian's HAProxy with the file of deploy/, as it stands but for ports and times.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ProxyProcess } from './proxy-process.ts'
import { replaceOnce } from './replace-once.ts'

const FILE = new URL('../../../../deploy/haproxy.cfg', import.meta.url)

/** HAProxy in front of a hub's port; `changes` are to single lines of the file. */
export function startDeployedHaproxy(
  hubPort: number,
  changes: Readonly<Record<string, string>> = {},
): Promise<ProxyProcess> {
  return ProxyProcess.start(
    (port) => ({
      'haproxy.cfg': replaceOnce(readFileSync(FILE, 'utf8'), {
        'bind :80': `bind 127.0.0.1:${port}`,
        'server hydrant-1 127.0.0.1:3000': `server hydrant-1 127.0.0.1:${hubPort}`,
        'maxconn 30000': 'maxconn 100', // more would need more descriptors than a test may have
        ...changes,
      }),
    }),
    // -W: a master process, which takes the signal to reload.
    (folder) => ['haproxy', '-W', '-f', join(folder, 'haproxy.cfg')],
  )
}

/** A new process takes what comes; the old one keeps what it has, until it may no longer. */
export function reloadHaproxy(haproxy: ProxyProcess): void {
  process.kill(haproxy.pid, 'SIGUSR2')
}
