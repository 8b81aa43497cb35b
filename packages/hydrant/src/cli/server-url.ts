// The server that a command talks to.

import { UsageError } from './command.ts'
import type { Flag } from './flags.ts'

const DEFAULT_URL = 'http://localhost:3000'

/** The flag that names it. */
export const URL_FLAG: Flag = {
  name: 'url',
  placeholder: '<url>',
  description: 'The server, with its base path if it has one.',
  default: DEFAULT_URL,
}

/** Where events are: `http://localhost:3000/events`. Throws a UsageError when the flag is no such URL. */
export function eventsUrl(flag: string | undefined): URL {
  const text = flag ?? DEFAULT_URL
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new UsageError(`--url must be like ${DEFAULT_URL}, not "${text}".${hintFor(text)}`)
  }
  // fetch refuses them, and a proxy's log would keep them.
  if (url.username !== '' || url.password !== '') throw new UsageError('--url cannot hold a user name or a password.')
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/events`
  return url
}

/** `localhost:3000` alone is a URL of the scheme `localhost:`. */
function hintFor(text: string): string {
  const withScheme = `http://${text}`
  return !text.includes('//') && URL.canParse(withScheme) ? ` Did you mean "${withScheme}"?` : ''
}
