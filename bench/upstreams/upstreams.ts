import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureServer } from '../../test/support/servers.mjs';
import { ROOT } from '../../gateway/setup/state.mjs';
import { nginxFolders, nginxPreamble } from '../contestants/nginx.ts';
import { answers, type Place } from '../place.ts';

/** The folder of a Plumber application of the benchmark's own, here. */
export function applicationHere(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** Starts real R processes that serve this model, or the application in this folder, and gives their addresses. */
export async function startPlumber(place: Place, service: string, instances: number): Promise<string[]> {
  return Promise.all(Array.from({ length: instances }, (_, i) => startOne(place, service, `r-${i}`)));
}

async function startOne(place: Place, service: string, name: string): Promise<string> {
  const temporary = place.path(`${name}.tmp`);
  mkdirSync(temporary);
  const started = place.start(name, {
    program: join(ROOT, 'plumber-services', 'serve.sh'),
    args: [service, '--watch-stdin'],
    env: { CONSUL_HTTP_ADDR: '', TMPDIR: temporary },
  });
  const portOf = () => /"event":"listening".*"port":(\d+)/.exec(started.log())?.[1];
  await place.until(started, () => portOf() !== undefined);
  return `127.0.0.1:${portOf() ?? ''}`;
}

/** Starts an nginx that answers a few bytes by itself, or what stands here for a path, and gives its address. */
export async function startNothing(
  place: Place,
  name: string,
  {
    core,
    answersTo = {},
  }: { readonly core: number | undefined; readonly answersTo?: Readonly<Record<string, string>> },
): Promise<string[]> {
  const address = `127.0.0.1:${await place.port()}`;
  const config = place.write(
    `${name}.conf`,
    configOf(place, name, { address, answersTo: { '': '{"ok":true}', ...answersTo } }),
  );
  const started = place.start(name, {
    program: await ensureServer('nginx'),
    args: ['-c', config, '-e', 'stderr'],
    core,
  });
  await place.until(started, () => answers(`http://${address}/`));
  return [address];
}

interface InstanceSpec {
  readonly address: string;
  /** By the path that a call's path begins with; the longest counts. */
  readonly answersTo: Readonly<Record<string, string>>;
}

function configOf(place: Place, name: string, { address, answersTo }: InstanceSpec): string {
  const locations = Object.entries(answersTo).map(
    ([path, json]) => `location /${path} { default_type application/json; return 200 '${json}'; }`,
  );
  return `
${nginxPreamble(place, name)}
http {
  ${nginxFolders(place, name)}
  access_log off;
  keepalive_requests 1000000000;
  server {
    listen ${address};
    ${locations.join('\n    ')}
  }
}
`;
}
