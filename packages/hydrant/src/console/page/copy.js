// The copy buttons beside commands.

import { find } from './page.js'

const SHOWN_MS = 1_500

/** Serves every button that names what it copies. */
export function startCopying() {
  for (const button of document.querySelectorAll('button[data-copies]')) {
    button.addEventListener('click', () => void copy(button))
  }
}

async function copy(button) {
  const source = find(`#${button.dataset.copies}`)
  button.textContent = (await write(source)) ? 'Copied' : 'Selected'
  setTimeout(() => (button.textContent = 'Copy'), SHOWN_MS)
}

/** Browsers give the clipboard to pages of https and localhost only: elsewhere the text is selected, for Ctrl+C. */
async function write(source) {
  try {
    await navigator.clipboard.writeText(source.textContent)
    return true
  } catch {
    getSelection().selectAllChildren(source)
    return false
  }
}
