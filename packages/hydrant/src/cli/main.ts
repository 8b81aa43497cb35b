// The command `hydrant` as a process: its output, its errors and its exit code.

import { oneLine } from '../server/lifetime.ts'
import { UsageError } from './command.ts'
import { run } from './run.ts'
import { complain } from './stderr.ts'

// Who reads us may go (`hydrant config | head -1`); that is no error of ours. What must end then listens for itself.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})
const exitCode = await main(process.argv.slice(2))
// Something may still be open, a kept connection or stdin; what was written goes out first.
process.stdout.write('', () => process.exit(exitCode))

async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(args)
  } catch (error) {
    complain(error instanceof UsageError ? error.message : oneLine(error))
    return 1
  }
}
