// The address of a Redis: one server, a set of them under sentinels, or a cluster.
//
//   redis://user:password@host:6379/0?prefix=hydrant&history=none     rediss:// with TLS
//   redis+sentinel://user:password@host1:26379,host2:26379/name       rediss+sentinel://
//   redis+cluster://user:password@host1:6379,host2:6379               rediss+cluster://

/** One server. */
export interface RedisHost {
  readonly host: string
  readonly port: number
}

/** See the head of the file. */
export interface RedisAddress {
  /** How the server that has the log is found. */
  readonly kind: 'server' | 'sentinel' | 'cluster'
  /** The server; the sentinels; or some of the cluster's servers. */
  readonly hosts: readonly RedisHost[]
  /** The name that the sentinels know the servers by. */
  readonly name: string
  readonly isSecure: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** What all names of the log begin with. */
  readonly prefix: string
  /** Whether events are kept. */
  readonly hasHistory: boolean
}

const PATTERN = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/(?:([^@]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/
const PORTS = { server: 6379, sentinel: 26_379, cluster: 6379 } as const
const NAME = /^[A-Za-z0-9_.:-]{1,64}$/

/** Reads an address. Throws a RangeError that says what is wrong, without its password. */
export function parseRedisUrl(url: string): RedisAddress {
  const match = PATTERN.exec(url)
  if (match === null) throw new RangeError('The address of Redis must look like redis://user:password@host:6379/0.')
  const [, secure, clustering, login = '', hostList = '', path = '', search = ''] = match
  const kind = clustering === 'sentinel' || clustering === 'cluster' ? clustering : 'server'
  const hosts = hostList === '' ? ['localhost'] : hostList.split(',')
  if (kind === 'server' && hosts.length > 1)
    throw new RangeError('redis:// takes one host; several are for redis+sentinel:// and redis+cluster://.')
  if (kind === 'sentinel' && path === '')
    throw new RangeError('redis+sentinel:// needs the name of the master: redis+sentinel://host/mymaster.')
  const [username, password] = splitLogin(login)
  return {
    kind,
    hosts: hosts.map((host) => parseHost(host, PORTS[kind])),
    name: kind === 'sentinel' ? decode(path) : '',
    isSecure: secure === 's',
    username,
    password,
    database: kind === 'server' && path !== '' ? parseDatabase(path) : 0,
    ...parseSearch(search),
  }
}

/** The address without what is secret, for messages. */
export function describe({ kind, hosts, name, isSecure }: RedisAddress): string {
  const scheme = `redis${isSecure ? 's' : ''}${kind === 'server' ? '' : `+${kind}`}`
  const list = hosts.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)).join(',')
  return `${scheme}://${list}${name === '' ? '' : `/${name}`}`
}

function parseSearch(search: string): { readonly prefix: string; readonly hasHistory: boolean } {
  const query = new URLSearchParams(search)
  for (const key of query.keys())
    if (key !== 'prefix' && key !== 'history') throw new RangeError(`The address of Redis has no setting ${key}.`)
  const prefix = query.get('prefix') ?? 'hydrant'
  if (!NAME.test(prefix))
    throw new RangeError('The prefix for Redis must be 1 to 64 letters, digits, or any of "_", ".", ":", "-".')
  const history = query.get('history') ?? 'streams'
  if (history !== 'none' && history !== 'streams')
    throw new RangeError('history= in the address of Redis is "streams" or "none".')
  return { prefix, hasHistory: history === 'streams' }
}

function parseHost(text: string, port: number): RedisHost {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text)
  if (match === null)
    throw new RangeError('A host in the address of Redis must look like host, host:6379 or [::1]:6379.')
  const [, bracketed, plain = '', digits] = match
  return { host: bracketed ?? plain, port: digits === undefined ? port : Number(digits) }
}

function parseDatabase(path: string): number {
  if (!/^\d{1,5}$/.test(path)) throw new RangeError('The database in the address of Redis must be a number.')
  return Number(path)
}

function splitLogin(login: string): readonly [string | undefined, string | undefined] {
  const colon = login.indexOf(':')
  const [username, password] = colon === -1 ? [login, ''] : [login.slice(0, colon), login.slice(colon + 1)]
  return [username === '' ? undefined : decode(username), password === '' ? undefined : decode(password)]
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new RangeError('The address of Redis has a % that is no escape.')
  }
}
