// The moments when waiting is pointless: the network is back, or somebody looks at the page again.

/** Calls `wake` at each of them, where there are such moments (browsers); the answer ends that. */
export function onWake(wake: () => void): () => void {
  if (typeof addEventListener !== 'function') return () => {}
  const wakeWhenVisible = (): void => {
    if (document.visibilityState === 'visible') wake()
  }
  const page = typeof document === 'undefined' ? undefined : document // a worker has none
  addEventListener('online', wake)
  page?.addEventListener('visibilitychange', wakeWhenVisible)
  return () => {
    removeEventListener('online', wake)
    page?.removeEventListener('visibilitychange', wakeWhenVisible)
  }
}
