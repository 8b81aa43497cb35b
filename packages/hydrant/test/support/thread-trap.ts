// Something that goes wrong in a worker of a server that is a process: its first worker does it when the process gets
// SIGUSR2. Its replacement does not.

/** What goes wrong. */
export const MISHAPS = {
  throw: "setImmediate(() => { throw new Error('boom') })",
  reject: "void Promise.reject(new Error('boom'))",
  exit: 'process.exit(7)',
  memory: 'const hoard = []; setInterval(() => { for (let at = 0; at < 2e5; at += 1) hoard.push({ at }) }, 0)',
  stuck: 'for (;;);',
} as const

/** Options of Node that set the trap. */
export function trapOptions(mishap: keyof typeof MISHAPS): string {
  const code = [
    "import { isMainThread, threadName } from 'node:worker_threads'",
    "const trap = new BroadcastChannel('trap')",
    'trap.unref()',
    "if (isMainThread) process.on('SIGUSR2', () => trap.postMessage('now'))",
    `else if (threadName === 'hydrant worker 1') trap.onmessage = () => { trap.close(); ${MISHAPS[mishap]} }`,
  ]
  const heap = mishap === 'memory' ? '--max-old-space-size=64 ' : ''
  return `${heap}--import=data:text/javascript,${encodeURIComponent(code.join('\n'))}`
}
