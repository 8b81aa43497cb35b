// What the CLI has to say besides its output.

/** Writes to stderr, with the program's name before each line, for it may stand between other programs' lines. */
export function complain(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`hydrant: ${line}\n`)
}
