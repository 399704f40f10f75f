import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { eachLine } from './command.mjs';
import { createLog, toReadable } from './gateway-process.mjs';
import { spawnBound } from './lifetimes.mjs';
import { freePort } from './ports.mjs';
import { step, warn } from './say.mjs';
import { ensureConsul } from './servers.mjs';
import { ROOT } from './state.mjs';
import { asUser } from './unprivileged.mjs';

/** What is started beside Consul: two of the first, so that balancing can be seen. */
const INSTANCES = ['fuel', 'fuel', 'iris', 'ozone'];

/** So many of R's last lines are shown where it does not start. */
const LINES_SHOWN_MAX = 12;

const CONSUL_PORT = 8500;
const CONSUL_READY_MS_MAX = 30_000;
const POLL_MS = 200;

/** Starts a Consul agent in dev mode (its data in memory, its UI on) and resolves to its address once it has a leader. */
export async function startConsul(lifetimes, account) {
  const program = await ensureConsul();
  const port = await freePort(CONSUL_PORT);
  const address = `http://127.0.0.1:${port}`;
  await step('Starting Consul', async () => {
    const log = createLog('consul.log');
    const child = lifetimes.add(
      spawnBound(
        program,
        await consulArgs(port),
        asUser(account, { stdio: ['ignore', 'pipe', 'pipe'], env: withoutConsul(process.env) }),
      ),
    );
    for (const stream of [child.stdout, child.stderr]) eachLine(stream, line => log.write(`${line}\n`));
    await untilLeader(address, child);
    reportItsEnd(child, { lifetimes, what: 'Consul', then: 'The gateway goes on with what it knows.' });
  });
  return address;
}

async function consulArgs(port) {
  const [server, serf] = [await freePort(), await freePort()];
  const ports = ['-http-port', port, '-server-port', server, '-serf-lan-port', serf, '-serf-wan-port', -1];
  const off = ['-grpc-port', -1, '-dns-port', -1];
  const addresses = ['-log-level', 'info', '-bind', '127.0.0.1', '-client', '127.0.0.1', '-node', 'penstock-demo'];
  return ['agent', '-dev', '-ui', ...addresses, ...ports, ...off].map(String);
}

/** Without the variables that would point the agent's or a service's own words at some other Consul. */
function withoutConsul(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CONSUL_')));
}

async function untilLeader(address, child) {
  const untilMs = Date.now() + CONSUL_READY_MS_MAX;
  while (Date.now() < untilMs) {
    if (child.exitCode !== null) throw new Error('Consul ended at once: see .state/log/consul.log');
    const leader = await fetch(`${address}/v1/status/leader`, { signal: AbortSignal.timeout(1_000) })
      .then(response => response.json())
      .catch(() => '');
    if (leader !== '') return;
    await wait(POLL_MS);
  }
  throw new Error(`Consul has no leader after ${CONSUL_READY_MS_MAX / 1000} s: see .state/log/consul.log`);
}

/**
 * Starts the R services, each of which registers itself with Consul, and resolves once all listen.
 *
 * Each reads its standard input to the end (`--watch-stdin`): when this process is gone, that closes, and they
 * deregister and end.
 */
export async function startServices(lifetimes, { consulAddress, account }) {
  await step(`Starting R: ${INSTANCES.join(', ')}`, async report => {
    const log = createLog('services.jsonl');
    let listening = 0;
    const starts = INSTANCES.map(name => startService(name, { lifetimes, log, consulAddress, account }));
    const counted = starts.map(start => start.then(() => report(`${(listening += 1)} of ${INSTANCES.length} listen`)));
    await Promise.all(counted);
  });
}

async function startService(name, { lifetimes, log, consulAddress, account }) {
  const script = join(ROOT, 'plumber-services', 'serve.sh');
  const child = lifetimes.add(
    spawn(
      'sh',
      [script, name, '--port', '0', '--watch-stdin'],
      asUser(account, {
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...withoutConsul(process.env), CONSUL_HTTP_ADDR: consulAddress },
      }),
    ),
  );
  child.stdin.on('error', () => {}); // It ends before we do when it fails to start; 'exit' says so.
  const lastLines = [];
  const listens = new Promise(resolve => {
    for (const stream of [child.stdout, child.stderr]) {
      eachLine(stream, line => {
        log.write(`${line}\n`);
        lastLines.push(toReadable(line));
        if (lastLines.length > LINES_SHOWN_MAX) lastLines.shift();
        if (isListening(line)) resolve();
      });
    }
  });
  const ended = once(child, 'close').then(([code]) => {
    throw new Error(`R of ${name} ended before it listened (exit ${code}):\n${lastLines.join('\n')}`);
  });
  ended.catch(() => {}); // Once it listens this is no longer waited for.
  await Promise.race([listens, ended]);
  const another = `CONSUL_HTTP_ADDR=${consulAddress} plumber-services/serve.sh ${name}`;
  reportItsEnd(child, { lifetimes, what: `A ${name}`, then: `To start another: ${another}` });
}

/** What ends here is not started again: in this demonstration an operator may kill it to see what happens. */
function reportItsEnd(child, { lifetimes, what, then }) {
  child.once('exit', (code, signal) => {
    if (!lifetimes.isStopping) warn(`${what} ended by itself (${signal ?? `exit ${code}`}). ${then}`);
  });
}

function isListening(line) {
  try {
    return JSON.parse(line).event === 'listening';
  } catch {
    return false; // Not a line of ours.
  }
}

/** The names of the services started beside Consul. */
export const DEMO_SERVICES = [...new Set(INSTANCES)];
