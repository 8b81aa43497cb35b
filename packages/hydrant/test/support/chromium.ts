// Debian's Chromium, for tests of pages. One browser serves a test file; each page has a profile of its own.

import { chromium, type Browser, type Page } from 'playwright-core'

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** How long a page may take for anything, in milliseconds: generous, for machines under load. */
const PATIENCE_MS = 15_000

/** Starts a browser without a window; close it when the tests are done. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: ARGUMENTS })
}

/** A page, and what went wrong on it. */
export interface WatchedPage {
  readonly page: Page
  /** Errors that the page threw or its console showed, as they come. */
  readonly faults: readonly string[]
}

/** Opens an address in a profile of its own. */
export async function openPage(
  browser: Browser,
  url: string,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<WatchedPage> {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text())
  })
  await page.goto(url)
  return { page, faults }
}
