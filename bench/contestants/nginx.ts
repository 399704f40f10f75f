import { ensureServer } from '../../test/support/servers.mjs';
import { answers, type Place } from '../place.ts';
import type { Behind, Contestant, Front } from './contestant.ts';

/** nginx as its manual sets it up: a fresh HTTP/1.0 connection to an instance for each call. */
export const nginx: Contestant = {
  id: 'nginx',
  title: 'nginx',
  kind: 'peer',
  setUp:
    'its defaults (`proxy_pass` to an `upstream`, HTTP/1.0 and a fresh connection each), one worker, access log on',
  start: (place, behind) => start(place, behind, { name: 'nginx', isKept: false }),
};

/** nginx with connections to the instances that stay open. */
export const nginxKept: Contestant = {
  id: 'nginx-kept',
  title: 'nginx, keep-alive',
  kind: 'peer',
  setUp: '`keepalive 64`, `proxy_http_version 1.1`, one worker, access log on',
  start: (place, behind) => start(place, behind, { name: 'nginx-kept', isKept: true }),
};

async function start(place: Place, behind: Behind, how: { name: string; isKept: boolean }): Promise<Front> {
  const address = `127.0.0.1:${await place.port()}`;
  const config = place.write(`${how.name}.conf`, configOf(place, behind, { ...how, address }));
  const program = await ensureServer('nginx');
  const started = place.start(how.name, { program, args: ['-c', config, '-e', 'stderr'], core: behind.core });
  await place.until(started, () => answers(`http://${address}/`));
  return { addresses: [address], prefix: behind.prefix, process: { pid: started.pid } };
}

interface How {
  readonly name: string;
  readonly isKept: boolean;
  readonly address: string;
}

function configOf(place: Place, { instances, prefix }: Behind, { name, isKept, address }: How): string {
  const servers = instances.map(instance => `server ${instance};`).join(' ');
  return `
${nginxPreamble(place, name)}
http {
  ${nginxFolders(place, name)}
  access_log ${place.path(`${name}.access.log`)} combined;
  upstream instances { ${servers} ${isKept ? 'keepalive 64;' : ''} }
  server {
    listen ${address};
    location ${prefix}/ {
      proxy_pass http://instances/;
      ${isKept ? 'proxy_http_version 1.1; proxy_set_header Connection "";' : ''}
    }
  }
}
`;
}

/** What any nginx here begins with: in the foreground, as the user that started it, leaving nothing outside its folder. */
export function nginxPreamble(place: Place, name: string): string {
  const isRoot = process.getuid?.() === 0; // only root may say as whom
  return `${isRoot ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${place.path(`${name}.pid`)};
events { worker_connections 4096; }`;
}

/** Where nginx keeps what does not fit in its memory. */
export function nginxFolders(place: Place, name: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(kind => `${kind}_temp_path ${place.path(`${name}-${kind}`)};`)
    .join(' ');
}
