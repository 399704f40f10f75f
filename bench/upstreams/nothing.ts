import { ensureServer } from '../../gateway/setup/servers.mjs';
import { answers } from '../contestants/contestant.ts';
import { nginxFolders, nginxPreamble } from '../contestants/nginx.ts';
import type { Place } from '../place.ts';

/** Starts an nginx that answers a few bytes by itself, and gives its address. */
export async function startNothing(place: Place, name: string, core: number | undefined): Promise<string[]> {
  const address = `127.0.0.1:${await place.port()}`;
  const config = place.write(`${name}.conf`, configOf(place, name, address));
  const started = place.start(name, {
    program: await ensureServer('nginx'),
    args: ['-c', config, '-e', 'stderr'],
    core,
  });
  await place.until(started, () => answers(address));
  return [address];
}

function configOf(place: Place, name: string, address: string): string {
  return `
${nginxPreamble(place, name)}
http {
  ${nginxFolders(place, name)}
  access_log off;
  keepalive_requests 1000000000;
  server {
    listen ${address};
    location / { default_type application/json; return 200 '{"ok":true}'; }
  }
}
`;
}
