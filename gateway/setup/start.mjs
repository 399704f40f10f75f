import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { DEMO_SERVICES, startConsul, startServices } from './consul-demo.mjs';
import { createStarts, outlineOf, makeToken, startGateway, untilReady, urlOf } from './gateway-process.mjs';
import { createLifetimes, onSignals } from './lifetimes.mjs';
import { trainModels } from './models.mjs';
import { ensureNpmPackages } from './npm-packages.mjs';
import { requireFreePort } from './ports.mjs';
import { faint, say, step, warn } from './say.mjs';
import { showScreen, shownLine, warningOfStart } from './screen.mjs';
import { ROOT, ensureDevSecret, requireWritableClone } from './state.mjs';
import { ensureSystemPackages } from './system-packages.mjs';
import { chooseUser } from './unprivileged.mjs';

// `npm start` and `npm run start:consul`: from a fresh clone to a gateway that answers, and the screen that says so.

const USAGE = `npm start [-- OPTIONS]            the gateway, which starts its R services itself
npm run start:consul [-- OPTIONS] the same with a Consul agent in dev mode, where the services register themselves

  --config FILE    another gateway.yaml
  --install-only   install and train what is needed, start nothing
`;

/** How long the token on the screen is good for. */
const TOKEN_EXPIRES = '12h';

const lifetimes = createLifetimes();

async function main() {
  const { values: options } = parseArgs({
    options: {
      consul: { type: 'boolean', default: false },
      config: { type: 'string' },
      'install-only': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (options.help) return say(USAGE);
  onSignals({ stop, stopAtOnce: () => (lifetimes.stopAtOnce(), process.exit(1)) });

  await setUp();
  if (!options['install-only'] && !lifetimes.isStopping) await start(options);
}

/** Each step does nothing where there is nothing to do: from the second time on this takes a second. */
async function setUp() {
  if (process.platform === 'win32') throw new Error('Penstock runs on Linux and macOS; on Windows use WSL.');
  requireWritableClone();
  await ensureNpmPackages();
  await ensureSystemPackages({ withTests: false });
  await trainModels();
  ensureDevSecret();
}

async function start({ consul, config }) {
  const own = join(ROOT, 'config', consul ? 'gateway.consul.yaml' : 'gateway.yaml');
  const configFile = config === undefined ? own : resolve(config);
  if (!existsSync(configFile)) throw new Error(`there is no ${configFile}`);
  const outline = await outlineOf(configFile);
  await requireFreePorts(outline, relative(process.cwd(), configFile));

  const account = chooseUser({ ...outline, configFile });
  const consulUrl = consul ? await startConsul(lifetimes, account) : undefined;
  if (consul) await startServices(lifetimes, { consulAddress: consulUrl, account });
  const env = consul ? { ...process.env, CONSUL_HTTP_ADDR: consulUrl } : process.env;
  const [gatewayUrl, adminUrl] = [urlOf(outline.gateway), urlOf(outline.admin)];
  const services = consul ? DEMO_SERVICES : outline.services;
  const routesFile = relative(process.cwd(), outline.routesFile);

  const starts = createStarts();
  let onLine = () => undefined;
  const gateway = startGateway({ configFile, user: userOf(outline, account), env, onLine: line => onLine(line) });
  lifetimes.add(gateway.child);
  await step(consul ? 'Starting the gateway' : `Starting the gateway and R: ${services.join(', ')}`, (report, note) => {
    onLine = line => noteStart(starts.add(line) ?? warningOfStart(line), note);
    return untilReady({ gateway, adminUrl, services, starts, report });
  });
  onLine = () => undefined; // until the screen stands
  gateway.child.once('exit', (code, signal) => gatewayEnded(code, signal));
  const token = await makeToken({ configFile, env, expires: TOKEN_EXPIRES });
  showScreen({ gatewayUrl, adminUrl, consulUrl, token, expires: TOKEN_EXPIRES, services, routesFile });
  onLine = showLine;
}

async function requireFreePorts({ gateway, admin }, config) {
  const instead = key => `set another ${key} in ${config}`;
  await requireFreePort({ ...gateway, what: 'The gateway', instead: instead('listen.port') });
  await requireFreePort({ ...admin, what: "The gateway's admin listener", instead: instead('admin.port') });
}

/** Nothing where the configuration names the user; `root` where it was said already why it stays that. */
function userOf({ user }, account) {
  if (user !== undefined || process.getuid() !== 0) return undefined;
  return account?.name ?? 'root';
}

function noteStart(text, note) {
  if (text !== undefined) note(text);
}

/** Below the screen. */
function showLine(line) {
  const { text, isAmiss } = shownLine(line) ?? {};
  if (text !== undefined) (isAmiss ? warn : say)(text);
}

async function gatewayEnded(code, signal) {
  if (lifetimes.isStopping) return;
  warn(`The gateway ended by itself (${signal ?? `exit ${code}`}): see .state/log/gateway.jsonl`);
  await lifetimes.stop();
  process.exit(code === 0 ? 0 : 1);
}

async function stop() {
  say(`\nStopping: requests in hand are finished first ${faint('(Ctrl-C again stops at once)')} …`);
  await lifetimes.stop();
  say('Stopped.');
  process.exit(0);
}

main().catch(async error => {
  if (!lifetimes.isStopping) process.stderr.write(`\n${error.message}\n`);
  await lifetimes.stop();
  process.exit(1);
});
