// Run by failing-disk.test.ts in a process of its own: appends, and says what became of it.
//
//   append-to-failing-disk.ts <folder>

import { FileLog } from './file-log.ts'

const EVENTS = 120

const [folder = ''] = process.argv.slice(2)
const log = await FileLog.open({ folder })
const [acknowledged, failed]: [string[], string[]] = [[], []]
for (let at = 0; at < EVENTS; at += 1) {
  const text = String(at)
  await log.texts('a', text).then(
    () => acknowledged.push(text),
    () => failed.push(text),
  )
}
const told = log.events.map(({ data }) => data)
const epochs = new Set(log.events.map(({ epoch }) => epoch)).size
console.log(JSON.stringify({ acknowledged, failed, told, epochs }))
await log.engine.close()
