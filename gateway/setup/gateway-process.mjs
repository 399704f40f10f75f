import { execFile } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { spawnLeashed } from './become-node.mjs';
import { eachLine } from './command.mjs';
import { requireProjectNode } from './project-node.mjs';
import { ROOT, STATE } from './state.mjs';

const MAIN = join(ROOT, 'gateway', 'main.ts');

/** R loads its packages and a model within seconds; a slow machine may take a minute. */
const READY_MS_MAX = 120_000;
const POLL_MS = 200;

/** The last lines of output, kept to be shown where the gateway ends before it is ready. */
const LINES_KEPT_MAX = 30;

/**
 * What the set-up must know of a configuration: where the gateway listens, and which services it starts itself.
 * @param {string} configFile
 * @returns {Promise<Record<'gateway' | 'admin', { host: string, port: number }> & {
 *   routesFile: string, user: string | undefined, services: string[], entries: string[],
 * }>}
 */
export async function outlineOf(configFile) {
  // Installed by now, but not when this file is loaded.
  const { parse } = await import('yaml');
  try {
    const config = parse(readFileSync(configFile, 'utf8')) ?? {};
    return {
      gateway: listenerOf({ host: '0.0.0.0', port: 8080, ...config.listen }),
      admin: listenerOf({ host: '127.0.0.1', port: 9090, ...config.admin }),
      routesFile: resolve(dirname(configFile), config.routes ?? 'routes.yaml'),
      user: config.user,
      services: (config.discovery?.local ?? []).map(({ service }) => service),
      entries: (config.discovery?.local ?? [])
        .filter(({ entry }) => entry !== undefined)
        .map(({ entry }) => resolve(dirname(configFile), entry)),
    };
  } catch (error) {
    throw new Error((await problemsOf(configFile)) ?? error.message, { cause: error });
  }
}

function listenerOf({ host, port }) {
  return { host: withVariables(host), port: Number(withVariables(port)) };
}

/** `${env:NAME:-default}` as the gateway reads it. */
function withVariables(value) {
  return String(value).replace(/\$\{env:(\w+)(?::-([^}]*))?\}/g, (_, name, other = '') => process.env[name] || other);
}

/** What `penstock check` says of a configuration; undefined where it finds nothing wrong. */
async function problemsOf(configFile) {
  const checking = promisify(execFile)(requireProjectNode(), [MAIN, 'check', '--config', configFile]);
  return checking.then(() => undefined).catch(({ stdout, stderr }) => `${stdout}${stderr}`.trim());
}

/** The address to show and call: a server that listens everywhere is reached here as well. */
export function urlOf({ host, port }) {
  const shown = ['0.0.0.0', '::', ''].includes(host) ? '127.0.0.1' : host;
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`;
}

/**
 * Starts the gateway on a leash. Its output goes to a file under `.state/log/`, and line by line to `onLine`, so that
 * the terminal stays readable.
 */
export function startGateway({ configFile, user, env, onLine }) {
  const log = createLog('gateway.jsonl');
  const lastLines = [];
  const userArgs = user === undefined ? [] : ['--user', user];
  const child = spawnLeashed(requireProjectNode(), [MAIN, 'serve', '--config', configFile, ...userArgs], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  for (const stream of [child.stdout, child.stderr]) {
    eachLine(stream, line => {
      log.write(`${line}\n`);
      lastLines.push(line);
      if (lastLines.length > LINES_KEPT_MAX) lastLines.shift();
      onLine(line);
    });
  }
  return { child, lastLines };
}

/** A fresh log file; that of the run before is kept beside it. */
export function createLog(name) {
  const file = join(STATE, 'log', name);
  mkdirSync(dirname(file), { recursive: true });
  if (existsSync(file)) renameSync(file, `${file}.1`);
  return createWriteStream(file);
}

/** Waits until the gateway is ready and each of its services has an instance that takes requests. */
export async function untilReady({ gateway: { child, lastLines }, adminUrl, services, starts, report }) {
  const untilMs = Date.now() + READY_MS_MAX;
  while (Date.now() < untilMs) {
    const hopeless = starts.hopeless();
    if (hopeless !== undefined) throw new Error(`R of ${hopeless} does not start: what it said stands above.`);
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the gateway ended before it was ready:\n${lastLines.map(toReadable).join('\n')}`);
    }
    const seen = await look(adminUrl);
    const waiting = services.filter(name => !seen.serving.has(name));
    if (seen.isReady && waiting.length === 0) return;
    report(seen.isUp ? `waiting for ${waiting.join(', ') || 'the first roster'}` : 'the gateway starts');
    await wait(POLL_MS);
  }
  throw new Error(`not ready after ${READY_MS_MAX / 1000} s:\n${lastLines.map(toReadable).join('\n')}`);
}

/** An R that has ended so often before it answered will not start by being tried again. */
const STARTS_MAX = 3;

/** So many of R's last lines are shown when it ends: its error, and where it came from. */
const R_LINES_MAX = 12;

/**
 * Follows the gateway's log while R starts, and says why an R does not.
 * @returns {{ add(line: string): string | undefined, hopeless(): string | undefined }}
 */
export function createStarts() {
  const saidBy = new Map();
  const endsOf = new Map();

  return {
    /** What is to be shown of a line of the log: how an R ended before it answered, and what it said. */
    add(line) {
      const { service, text, isEnd, isUp } = readStartLine(line);
      if (service === undefined) return undefined;
      if (isUp) endsOf.set(service, -Infinity); // It can start: what ends it later is not for the start to tell.
      const said = saidBy.get(service) ?? [];
      if (isEnd || isUp) saidBy.delete(service);
      else saidBy.set(service, [...said, text].slice(-R_LINES_MAX));
      if (!isEnd) return undefined;
      endsOf.set(service, (endsOf.get(service) ?? 0) + 1);
      return [`R of ${service} ended before it answered (${text}). It said:`, ...said].join('\n    ');
    },
    /** A service whose R ended again and again. */
    hopeless: () => [...endsOf].find(([, ends]) => ends >= STARTS_MAX)?.[0],
  };
}

function readStartLine(line) {
  try {
    const { event, text, about } = JSON.parse(line);
    if (event !== 'notice' || about?.service === undefined) return {};
    const end = /^R ended: (.*?)(, before it answered)?$/.exec(text);
    return { service: about.service, text: end?.[1] ?? text, isEnd: end !== null, isUp: text === 'R answers' };
  } catch {
    return {}; // Not a line of ours.
  }
}

async function look(adminUrl) {
  try {
    const signal = AbortSignal.timeout(2_000);
    const [ready, services] = await Promise.all([
      fetch(`${adminUrl}/readyz`, { signal }),
      fetch(`${adminUrl}/api/services`, { signal }).then(response => response.json()),
    ]);
    await ready.arrayBuffer();
    const isServing = ({ instances }) => instances.some(({ state }) => ['in-rotation', 'slow-start'].includes(state));
    const serving = new Set(services.filter(isServing).map(({ service }) => service));
    return { isUp: true, isReady: ready.status === 200, serving };
  } catch {
    return { isUp: false, isReady: false, serving: new Set() }; // Not up yet: asked again soon.
  }
}

/** A token with which the examples on the screen work; undefined where the configuration has no issuer to make one of. */
export async function makeToken({ configFile, env, expires }) {
  const args = [MAIN, 'token', '--config', configFile, '--sub', 'you', '--scope', 'predict', '--expires', expires];
  const making = promisify(execFile)(requireProjectNode(), args, { env });
  return making.then(({ stdout }) => stdout.trim()).catch(() => undefined);
}

/** A line of the log as a person reads it: what happened, without braces and quotes. */
export function toReadable(line) {
  let entry;
  try {
    entry = JSON.parse(line);
  } catch {
    return line; // Not one of ours: Node's own words, such as a stack.
  }
  const { time, level, event, message, text, ...rest } = entry;
  const details = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return [time?.slice?.(11, 19), level, event, message, text, ...details].filter(part => part !== undefined).join(' ');
}
