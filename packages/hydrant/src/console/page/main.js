// Starts every part of the page.

import { startCopying } from './copy.js'
import { startMachine } from './machine.js'
import { startPublishing } from './publish.js'
import { startWatching } from './watch.js'

startMachine()
startPublishing()
startWatching()
startCopying()
