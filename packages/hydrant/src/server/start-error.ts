// Why a server could not start, in words that say what to do.

/** Told to the user as it is, without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/** Words for an error of `listen`. */
export function startErrorOf(error: NodeJS.ErrnoException, host: string, port: number): StartError {
  const advice = ADVICE.get(error.code ?? '')
  return new StartError(advice?.(host, port) ?? `cannot listen on ${host} port ${port}: ${error.message}`, {
    cause: error,
  })
}

/** Whether an error is one of the operating system's. */
export function isErrnoException(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error
}

/** Words for a log that could not be opened. `folder` is the one that was tried; undefined: the log is not on disk. */
export function logErrorOf(error: unknown, folder: string | undefined): StartError {
  const reason = error instanceof Error ? error.message : String(error)
  const advice =
    folder === undefined ? '' : ' Another folder: --engine file:<folder>. Nothing on disk: --engine memory.'
  return new StartError(`the log cannot be opened: ${reason}${advice}`, { cause: error })
}

const ADVICE: ReadonlyMap<string, (host: string, port: number) => string> = new Map<string, typeof adviceForPort>([
  ['EADDRINUSE', adviceForPort],
  [
    'EACCES',
    (_, port) => `port ${port} needs rights that this user does not have: choose one above 1023, like --port 3000`,
  ],
  [
    'EADDRNOTAVAIL',
    (host) => `${host} is no address of this machine: choose one that is, like --host 127.0.0.1, or 0.0.0.0 for all`,
  ],
  ['ENOTFOUND', adviceForHost],
  ['EAI_AGAIN', adviceForHost],
])

function adviceForPort(_: string, port: number): string {
  const another = port < 65_535 ? port + 1 : 3000
  return `port ${port} is taken by another program: stop it, or choose another port, for example --port ${another}`
}

function adviceForHost(host: string): string {
  return `the host ${host} cannot be found: choose an address of this machine, for example --host 127.0.0.1`
}
