// Makes ready what `npm start` and `npm test` need, and costs nothing when it is there already. Plain JavaScript that
// Node 20 reads: it runs before the newer Node that node_modules brings along.
//
//   node scripts/ensure.js                  the packages of package-lock.json
//   node scripts/ensure.js --test-servers   and the servers, browsers and languages that the tests talk to

import { spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PYTHON = join(ROOT, '.cache', 'python')
const REQUIREMENTS = join(ROOT, 'scripts', 'requirements.txt')
const NATS = join(ROOT, '.cache', 'nats')
/** Beside the one of Debian, which is years older; its Go is the oldest that can build it. */
const CURRENT_NATS = { module: 'github.com/nats-io/nats-server/v2@v2.15.2', goMinor: 26 }
const COMPOSE = join(ROOT, '.cache', 'compose')
/** The reading of Compose files by those who specify them; its schema is one file of it. */
const COMPOSE_SCHEMA = { module: 'github.com/compose-spec/compose-go/v2@v2.16.2', path: 'schema/compose-spec.json' }

/**
 * What the tests start, and the Debian package that has it.
 *
 * @type {Record<string, string>}
 */
const TEST_SERVERS = {
  'redis-server': 'redis-server',
  'nats-server': 'nats-server',
  nginx: 'nginx',
  haproxy: 'haproxy',
  chromium: 'chromium',
  curl: 'curl',
  python3: 'python3',
  php: 'php-cli',
  go: 'golang-go',
  ip: 'iproute2',
  nft: 'nftables',
  strace: 'strace',
  faketime: 'faketime',
  gcc: 'build-essential',
}

ensurePackages()
if (process.argv.includes('--test-servers')) {
  ensureTestServers()
  ensureCurrentNats()
  ensureComposeSchema()
  ensurePython()
}

function ensurePackages() {
  if (isNewer('node_modules/.package-lock.json', 'package-lock.json')) return
  say('installing packages with npm ci')
  if (runs('npm', ['ci'])) return
  say('npm ci failed, trying npm install')
  if (!runs('npm', ['install', '--no-save'])) fail('npm could not install the packages: see its messages above')
}

function ensureTestServers() {
  const missing = missingTestServers()
  if (missing.length === 0) return
  if (isDebianRoot()) installWithApt(missing)
  const left = missingTestServers()
  if (left.length > 0) say(`not installed: ${left.join(', ')}. The tests that need them cannot run`)
}

function missingTestServers() {
  const missing = Object.keys(TEST_SERVERS).filter((command) => !hasCommand(command))
  return existsSync(PYTHON) || canMakeVenv() ? missing : [...missing, 'python3-venv']
}

/** @param {string[]} missing */
function installWithApt(missing) {
  const packages = missing.map((name) => TEST_SERVERS[name] ?? name)
  say(`installing with apt-get, for the tests: ${packages.join(' ')}`)
  const install = ['-q', 'install', '-y', '--no-install-recommends', ...packages]
  withoutStartingServices(() => runs('apt-get', ['-q', 'update']) && runs('apt-get', install))
}

/**
 * Debian starts a server as soon as it is installed, unless this file says no. The tests start their own, on free
 * ports.
 *
 * @param {() => boolean} install
 */
function withoutStartingServices(install) {
  const policy = '/usr/sbin/policy-rc.d'
  if (existsSync(policy)) {
    install()
    return
  }
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    install()
  } finally {
    rmSync(policy)
  }
}

/** Where it cannot be built the tests of NATS run on Debian's alone; it is tried once. */
function ensureCurrentNats() {
  const tried = join(NATS, 'tried')
  if (existsSync(join(NATS, 'nats-server')) || isSameText(tried, CURRENT_NATS.module)) return
  const minor = /go1\.(\d+)/.exec(spawnSync('go', ['version'], { encoding: 'utf8' }).stdout ?? '')?.[1]
  if (Number(minor ?? 0) < CURRENT_NATS.goMinor) return
  say('building a current nats-server into .cache/nats with Go, for the tests: about a minute, once')
  const env = { ...process.env, GOBIN: NATS, GOTOOLCHAIN: 'local', GOFLAGS: '' }
  const { status } = spawnSync('go', ['install', CURRENT_NATS.module], { env, stdio: 'ignore', timeout: 300_000 })
  mkdirSync(NATS, { recursive: true })
  writeFileSync(tried, CURRENT_NATS.module)
  if (status !== 0) say('a current nats-server could not be built. The tests of NATS run on the one of Debian alone')
}

/** The name of the module is written last: it says that the folder is complete. */
function ensureComposeSchema() {
  const complete = join(COMPOSE, 'module')
  if (isSameText(complete, COMPOSE_SCHEMA.module) || !hasCommand('go')) return
  say('fetching the schema of Compose files with Go, for the tests')
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '' }
  const args = ['mod', 'download', '-json', COMPOSE_SCHEMA.module]
  const { status, stdout } = spawnSync('go', args, { env, encoding: 'utf8', timeout: 120_000 })
  if (status !== 0) {
    say('the schema of Compose files could not be fetched. The test that needs it cannot run')
    return
  }
  const { Dir: folder } = JSON.parse(stdout)
  rmSync(COMPOSE, { recursive: true, force: true }) // what Go fetched cannot be written over
  mkdirSync(COMPOSE, { recursive: true })
  copyFileSync(join(folder, COMPOSE_SCHEMA.path), join(COMPOSE, 'compose-spec.json'))
  writeFileSync(complete, COMPOSE_SCHEMA.module)
}

/** The copy of the requirements is written last: it says that the folder is complete. */
function ensurePython() {
  const installed = join(PYTHON, 'requirements.txt')
  if (!hasCommand('python3') || isSame(installed, REQUIREMENTS)) return
  say('installing Python packages into .cache/python, for the tests')
  const pip = join(PYTHON, 'bin', 'pip')
  const made =
    runs('python3', ['-m', 'venv', '--clear', PYTHON]) &&
    runs(pip, ['install', '--quiet', '--disable-pip-version-check', '--requirement', REQUIREMENTS])
  if (made) copyFileSync(REQUIREMENTS, installed)
  else say('Python packages are not installed. The tests that need them cannot run')
}

function canMakeVenv() {
  return (
    hasCommand('python3') && spawnSync('python3', ['-c', 'import ensurepip, venv'], { stdio: 'ignore' }).status === 0
  )
}

function isDebianRoot() {
  return existsSync('/etc/debian_version') && hasCommand('apt-get') && process.getuid?.() === 0
}

/** @param {string} command */
function hasCommand(command) {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
  return folders.some((folder) => isExecutable(join(folder, command)))
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Whether the first file exists and is not older than the second.
 *
 * @param {string} made
 * @param {string} from
 */
function isNewer(made, from) {
  const madeAt = statSync(join(ROOT, made), { throwIfNoEntry: false })?.mtimeMs ?? -Infinity
  return madeAt >= statSync(join(ROOT, from)).mtimeMs
}

/**
 * @param {string} one
 * @param {string} other
 */
function isSame(one, other) {
  return isSameText(one, readFileSync(other, 'utf8'))
}

/**
 * @param {string} path
 * @param {string} text
 */
function isSameText(path, text) {
  return existsSync(path) && readFileSync(path, 'utf8') === text
}

/**
 * Runs a command quietly, but for what it has to complain about.
 *
 * @param {string} command
 * @param {string[]} args
 */
function runs(command, args) {
  const { status } = spawnSync(command, args, {
    cwd: ROOT,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', DEBCONF_NOWARNINGS: 'yes' },
    shell: process.platform === 'win32',
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return status === 0
}

/** @param {string} what */
function say(what) {
  console.log(`hydrant: ${what}`)
}

/** @param {string} why */
function fail(why) {
  console.error(`hydrant: ${why}`)
  process.exit(1)
}
