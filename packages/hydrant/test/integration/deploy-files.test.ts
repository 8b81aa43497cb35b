// The Compose files and Kubernetes manifests of deploy/ are what their specifications allow, and fit together: names
// that are used exist, settings are hydrant's, and times are long enough.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { LIMITS } from '../../src/hub/limits.ts'
import { loadConfiguration } from '../../src/server/configuration.ts'
import { checkEngine } from '../../src/server/engine.ts'
import { SETTINGS } from '../../src/server/settings.ts'
import { composeFile, DEPLOY, deployText, manifests } from '../support/deploy-folder.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const COMPOSE_SCHEMA = join(ROOT, '.cache', 'compose', 'compose-spec.json')
const PYTHON = join(ROOT, '.cache', 'python', 'bin', 'python')
const COMPOSE_FILES = ['compose.yaml', 'compose-nats.yaml']
const KUBERNETES_FILES = globSync('*.yaml', { cwd: join(DEPLOY, 'kubernetes') }).toSorted()
/** The oldest that is looked after, and the newest that is known. */
const KUBERNETES_VERSIONS = ['1.34', '1.37']
const CLOSE_SECONDS = LIMITS.closeMs.default / 1_000

for (const name of COMPOSE_FILES) {
  const file = composeFile(name)
  const services = new Map(file.at('services').entries)
  const nodes = [...services].filter(([service]) => service.startsWith('hydrant-')).map(([, node]) => node)

  test(`${name} is a Compose file`, () => {
    assert.deepEqual(composeFaults(file.value), [])
  })

  test(`${name} refers to nothing that is not there`, () => {
    const volumes = file.at('volumes').entries.map(([volume]) => volume)
    for (const service of services.values()) {
      for (const [at, dependency] of service.at('depends_on').entries)
        assert.ok(services.has(dependency.text === '' ? at : dependency.text), `${name}: ${at}`)
      for (const { text } of service.at('volumes').items) {
        const [source = ''] = text.split(':')
        assert.ok(source.startsWith('./') ? existsSync(join(DEPLOY, source)) : volumes.includes(source), text)
      }
    }
  })

  test(`${name} runs three equal nodes, with settings that there are, on the log of its broker`, () => {
    assert.equal(nodes.length, 3)
    for (const node of nodes) {
      assert.deepEqual(node.value, nodes[0]?.value)
      const environment = node.at('environment').entries
      checkSettings(environment.map(([variable, { text }]) => [variable, text]))
      const broker = new URL(node.at('environment.HYDRANT_ENGINE').text)
      assert.ok(services.has(broker.hostname))
      assert.equal(node.at(`depends_on.${broker.hostname}.condition`).text, 'service_healthy')
      assert.ok(seconds(node.at('stop_grace_period').text) > CLOSE_SECONDS)
    }
  })

  test(`${name}: HAProxy knows every node`, () => {
    const servers = deployText('haproxy-nodes.cfg').matchAll(/^ {4}server (\S+) \1:3000$/gm)
    const known = Array.from(servers, ([, server]) => server)
    const expected = [...services.keys()].filter((service) => service.startsWith('hydrant-'))
    assert.deepEqual(known, [...expected, ...expected]) // both backends
  })
}

test('a Compose file with a key that there is not is refused: the check is real', () => {
  const wrong = { services: { redis: { image: 'redis:7.2', healthchek: { test: 'true' } } } }
  assert.notEqual(composeFaults(wrong).length, 0)
})

for (const version of KUBERNETES_VERSIONS) {
  test(`the manifests are resources of Kubernetes ${version}, and have no key that it does not know`, () => {
    assert.ok(KUBERNETES_FILES.length >= 3)
    for (const name of KUBERNETES_FILES) {
      const said = kubernetesWords(version, deployText(`kubernetes/${name}`))
      const passed = said.match(/^INFO \S+ passed for resource \S+ against version 1\.\d+$/gm) ?? []
      assert.equal(passed.length, manifests(name).length, said)
    }
  })
}

test('a manifest with a key that there is not is refused: the check is real', () => {
  const text = deployText('kubernetes/hydrant.yaml')
  assert.match(kubernetesWords('1.37', text.replace('periodSeconds:', 'periodSecond:')), /ERROR .*periodSecond/)
})

test('nodes in Kubernetes are found by their labels, and the ports and secrets that are named exist', () => {
  const [deployment, service, budget] = manifests('hydrant.yaml')
  assert.ok(deployment !== undefined && service !== undefined && budget !== undefined)
  const labels = deployment.at('spec.template.metadata.labels').value
  assert.deepEqual(deployment.at('spec.selector.matchLabels').value, labels)
  assert.deepEqual(service.at('spec.selector').value, labels)
  assert.deepEqual(budget.at('spec.selector.matchLabels').value, labels)
  const node = deployment.at('spec.template.spec.containers.0')
  assert.equal(node.at('ports.0.containerPort').number, SETTINGS.port.default)
  const portName = node.at('ports.0.name').text
  assert.equal(service.at('spec.ports.0.targetPort').text, portName)
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
    assert.equal(node.at(`${probe}.httpGet.port`).text, portName)
  const plain = node.at('env').items.filter((variable) => variable.at('value').text !== '')
  checkSettings(plain.map((variable) => [variable.at('name').text, variable.at('value').text]))
  const { name, key } = Object.fromEntries(node.at('env.0.valueFrom.secretKeyRef').entries)
  for (const broker of ['redis.yaml', 'nats.yaml']) {
    const secret = manifests(broker).find((one) => one.at('metadata.name').text === name?.text)
    const url = secret?.at(`stringData.${key?.text}`).text ?? ''
    assert.doesNotThrow(() => checkEngine(url))
    const names = manifests(broker).filter((one) => one.at('kind').text === 'Service')
    assert.deepEqual(
      names.map((one) => one.at('metadata.name').text),
      [new URL(url).hostname],
    )
  }
})

test('a node in Kubernetes is given the time that it takes to end, after it has been taken out of service', () => {
  const pod = manifests('hydrant.yaml')[0]?.at('spec.template.spec')
  assert.ok(pod !== undefined)
  const waiting = pod.at('containers.0.lifecycle.preStop.sleep.seconds').number
  const leaves = pod.at('terminationGracePeriodSeconds').number
  const readiness = pod.at('containers.0.readinessProbe')
  assert.ok(leaves > waiting + CLOSE_SECONDS)
  assert.ok(waiting >= readiness.at('periodSeconds').number * readiness.at('failureThreshold').number)
})

test('the manifests configure brokers as the files of deploy/ do', () => {
  assert.equal(fileIn('redis.yaml', 'users.acl'), deployText('users.acl'))
  assert.equal(fileIn('redis.yaml', 'redis.conf'), withoutHead(deployText('redis.conf')))
  assert.equal(fileIn('nats.yaml', 'nats.conf'), withoutHead(deployText('nats.conf')))
})

test('the image has the drivers that the package names, in versions that it takes', () => {
  const text: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const peers = typeof text === 'object' && text !== null && 'peerDependencies' in text ? text.peerDependencies : {}
  const expected = Object.entries(peers ?? {}).map(([name, range]) => `${name}@${/\d+/.exec(String(range))?.[0]}`)
  const installed = /npm install --omit=dev (.*?) \\/.exec(deployText('Dockerfile'))?.[1]?.split(' ') ?? []
  assert.deepEqual(installed.filter((one) => !one.startsWith('hydrant@')).toSorted(), expected.toSorted())
})

/** What the schema of Compose files says against it. */
function composeFaults(file: unknown): readonly string[] {
  assert.ok(existsSync(COMPOSE_SCHEMA), 'node scripts/ensure.js --test-servers fetches the schema, with Go')
  const schema: unknown = JSON.parse(readFileSync(COMPOSE_SCHEMA, 'utf8'))
  assert.ok(typeof schema === 'object' && schema !== null)
  const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: false })
  const validate = ajv.compile(schema)
  validate(file)
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

/** What the schemas of Kubernetes say of a file. */
function kubernetesWords(version: string, text: string): string {
  const args = ['-m', 'kubernetes_validate', '--strict', '-k', version, '-']
  try {
    return execFileSync(PYTHON, args, { input: text, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] })
  } catch (error) {
    return error instanceof Error && 'stdout' in error ? `${String(error.stdout)}${error.message}` : String(error)
  }
}

/** Loads them; a name that there is not is refused, and so is a wrong value. */
function checkSettings(variables: readonly (readonly [string, string])[]): void {
  assert.ok(variables.length > 0)
  loadConfiguration({ env: Object.fromEntries(variables), readFile: () => undefined })
}

function seconds(text: string): number {
  return Number(/^(\d+)s$/.exec(text)?.[1])
}

/** A file that a ConfigMap or a Secret of a manifest holds. */
function fileIn(manifest: string, name: string): string {
  const files = manifests(manifest).flatMap((one) => [...one.at('data').entries, ...one.at('stringData').entries])
  return new Map(files).get(name)?.text ?? ''
}

/** Without the comment at its top. */
function withoutHead(text: string): string {
  return text.slice(text.indexOf('\n\n') + 2)
}
