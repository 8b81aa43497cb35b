// A certificate that a server signs for itself, made new for each test process.

import { execFileSync } from 'node:child_process'

/** Key and certificate in PEM, for `localhost` and 127.0.0.1. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

/** Makes one with openssl. */
export function makeCertificate(): Certificate {
  const options = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const pem = execFileSync('openssl', ['req', ...options, ...names, '-keyout', '-', '-out', '-'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const at = pem.indexOf('-----BEGIN CERTIFICATE')
  return { key: pem.slice(0, at), cert: pem.slice(at) }
}
