import { ensureServer } from '../../gateway/setup/servers.mjs';
import { answers } from '../contestants/contestant.ts';
import { nginxFolders, nginxPreamble } from '../contestants/nginx.ts';
import type { Place } from '../place.ts';

/** Starts an nginx that answers a few bytes by itself, and gives its address. */
export async function startNothing(place: Place, core: number | undefined): Promise<string[]> {
  const address = `127.0.0.1:${await place.port()}`;
  const config = place.write('nothing.conf', configOf(place, address));
  const started = place.start('nothing', {
    program: await ensureServer('nginx'),
    args: ['-c', config, '-e', 'stderr'],
    core,
  });
  await place.until(started, () => answers(address));
  return [address];
}

function configOf(place: Place, address: string): string {
  return `
${nginxPreamble(place, 'nothing')}
http {
  ${nginxFolders(place, 'nothing')}
  access_log off;
  keepalive_requests 1000000000;
  server {
    listen ${address};
    location / { default_type application/json; return 200 '{"ok":true}'; }
  }
}
`;
}
