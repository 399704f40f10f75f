import { once } from 'node:events';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { isDialectName } from './config/dialect/plugin-parts.ts';
import { remakeRoutes, type AroundRoutes, type MadeRoutes, type RouteToMake } from './config/compile.ts';
import type { WrittenService } from './config/written-route.ts';
import { hasError } from './config/problem.ts';
import { haveChanged, reloadPlugins } from './edges/plugin-files.ts';
import { compileRegex } from './edges/re2js.ts';
import type { Judged, JudgedPart, WorkerInput } from './load-worker.ts';
import { protosBeside, schemasBeside, tlsBeside, type RoutesInput } from './load.ts';
import type { RoutesNow } from './reload.ts';

const WORKER = new URL('./load-worker.ts', import.meta.url);

/** What a thread takes longer for never comes: a plug-in loops where it is loaded, or a file is a pipe. */
const REPLY_MS_MAX = 120_000;

/** YAML makes many short-lived objects: with room for them little is moved twice. */
const RESOURCES = { maxYoungGenerationSizeMb: 64 };

/**
 * Reads and understands the routes file beside the calls in hand: it is parsed and judged by another thread, and made
 * into routes here, a few at a time. Routes that have not changed are those in force. Rejects where the thread fails, ends,
 * or does not reply in time.
 */
export async function loadRoutesApart(
  input: RoutesInput,
  inForce: MadeRoutes,
  replyMsMax = REPLY_MS_MAX,
): Promise<RoutesNow> {
  const { made, plugins: loaded } = inForce;
  // Where a plug-in has changed, so have all routes.
  const isChanged = loaded !== undefined && haveChanged(loaded);
  leaveObjectsInPlace();
  const workerData: WorkerInput = { input, around: made.around, keys: isChanged ? [] : [...made.byKey.keys()] };
  const worker = new Worker(WORKER, { workerData, resourceLimits: RESOURCES, env: environment() });
  try {
    const { problems, secrets, parts } = await nextMessage<Judged>(worker, replyMsMax);
    if (hasError(problems)) return { routes: undefined, problems, secrets };
    const { routes: toMake, ...around } = await collect(worker, { parts, replyMsMax });
    const { identityConfigured, identity, routesFile, variables } = input;
    const texts = new Map<string, string>();
    const schemaIn = schemasBeside(routesFile, variables, texts);
    const protoIn = protosBeside(routesFile, variables, texts);
    const tlsIn = tlsBeside(routesFile, variables, texts);
    const plugins = isChanged ? await reloadPlugins(loaded, isDialectName) : loaded;
    for (const [file, text] of plugins?.texts ?? []) texts.set(file, text);
    const options = { identityConfigured, identity, compileRegex, schemaIn, protoIn, tlsIn, plugins, inForce: made };
    const routes = await inSlices(remakeRoutes(toMake, around, options));
    return { routes, problems, secrets, texts };
  } finally {
    await worker.terminate();
  }
}

const MOVE_AGAIN_MS = 10_000;
let moveAgain: NodeJS.Timeout | undefined;

/**
 * For a moment V8 moves no old objects together. What thousands of routes leave behind, as they come and go, lies in many
 * places: to gather what lives there took up to 45 of the 65 ms that a collection kept calls waiting.
 */
function leaveObjectsInPlace(): void {
  setFlagsFromString('--no-compact');
  clearTimeout(moveAgain);
  moveAgain = setTimeout(() => setFlagsFromString('--compact'), MOVE_AGAIN_MS).unref();
}

/** The thread needs no variable, but to be told where compiled code is kept. */
function environment(): Record<string, string> {
  const kept = getCompileCacheDir(); // a folder for this Node, within the one that was named
  return kept === undefined ? {} : { NODE_COMPILE_CACHE: dirname(kept) };
}

/** What a thread says next; rejects where it fails, or ends or goes on without a word, as code of a plug-in can have it. */
async function nextMessage<T>(worker: Worker, replyMsMax: number): Promise<T> {
  const over = new AbortController();
  const late = AbortSignal.timeout(replyMsMax);
  const signal = AbortSignal.any([over.signal, late]);
  const ended = once(worker, 'exit', { signal }).then(() => {
    throw new Error('the thread that reads the routes has ended: does a plug-in end the process?');
  });
  try {
    const [said] = (await Promise.race([once(worker, 'message', { signal }), ended])) as [T];
    return said;
  } catch (error) {
    if (!late.aborted) throw error;
    const seconds = Math.round(replyMsMax / 1_000);
    throw new Error(`the thread that reads the routes has not replied for ${seconds} s: does a plug-in loop?`, {
      cause: error,
    });
  } finally {
    over.abort();
  }
}

async function collect(
  worker: Worker,
  { parts, replyMsMax }: { readonly parts: number; readonly replyMsMax: number },
): Promise<AroundRoutes & { readonly routes: readonly RouteToMake[] }> {
  const services = new Map<string, WrittenService>();
  const routes: RouteToMake[] = [];
  let rest: JudgedPart = {};
  for (let at = 0; at < parts; at++) {
    worker.postMessage(at);
    const part = await nextMessage<JudgedPart>(worker, replyMsMax);
    rest = { ...rest, ...part };
    for (const [name, service] of part.services ?? []) services.set(name, service);
    routes.push(...(part.routes ?? []));
    await setImmediate(); // a fast thread must not keep the loop from its calls
  }
  const { defaults = {}, defaultFilters = [], resolved = new Map<string, string>() } = rest;
  return { defaults, defaultFilters, resolved, services, routes };
}

const SLICE_MS = 4;

/** The result of steps, taken a few at a time so that calls go on in between. */
export async function inSlices<T>(steps: Generator<undefined, T>): Promise<T> {
  let untilMs = performance.now() + SLICE_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < untilMs) continue;
    await setImmediate();
    untilMs = performance.now() + SLICE_MS;
  }
}
