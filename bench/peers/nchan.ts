// Nchan, a module of nginx, with one worker process and its messages in shared memory.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../.cache/bench/nchan/', import.meta.url))
const MODULES = ['/usr/lib/nginx/modules/ngx_nchan_module.so', '/usr/lib64/nginx/modules/ngx_nchan_module.so']

/** Where nginx finds Nchan; undefined when it is not installed. */
export function nchanModule(): string | undefined {
  return MODULES.find((path) => existsSync(path))
}

/** The command line of an nginx that does nothing but Nchan. Writes its configuration. */
export function nchanCommand(port: number): [string, ...string[]] {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(`${FOLDER}nginx.conf`, configuration(port))
  return ['nginx', '-p', FOLDER, '-c', `${FOLDER}nginx.conf`, '-e', 'stderr']
}

function configuration(port: number): string {
  const module = nchanModule()
  if (module === undefined) throw new Error('Nchan is not installed (Debian, Ubuntu: apt install libnginx-mod-nchan)')
  return `load_module ${module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr crit;
events {
  worker_connections 19000;
}
http {
  access_log off;
  client_body_buffer_size 64k;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_requests 100000000;
  nchan_shared_memory_size 512m;
  nchan_message_buffer_length 1000;
  nchan_message_timeout 1m;
  server {
    listen 127.0.0.1:${port};
    location ~ ^/publish/(.+)$ {
      nchan_publisher;
      nchan_channel_id $1;
    }
    location ~ ^/events/(.+)$ {
      nchan_subscriber eventsource websocket;
      nchan_subscriber_first_message newest;
      nchan_channel_id $1;
    }
  }
}
`
}
