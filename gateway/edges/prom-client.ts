import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { GatewayEvent, Observe, RequestEvent } from '../domain/events.ts';
import type { InstanceState, ServiceView } from '../domain/service.ts';
import type { RosterAge } from '../domain/roster.ts';
import type { AttemptFacts } from '../domain/upstream.ts';
import {
  createDurations,
  createRowCounts,
  createTally,
  familyOptions,
  type Family,
  type Tally,
} from './prom-client-series.ts';

/** What the metrics are read from when they are scraped. */
interface MetricsOptions {
  /** Calls whose reply is not over. */
  readonly inFlight: () => number;
  /** The routes there are: series of others are removed. */
  readonly routeIds: () => ReadonlySet<string>;
  /** The services there are, with their instances: series of others are removed. */
  readonly services: () => readonly ServiceView[];
  readonly rosterAges: () => readonly RosterAge[];
  /** Until when the certificates that callers are shown are good. */
  readonly certificates: () => readonly { readonly name: string; readonly atSeconds: number }[];
  /** Whether calls travel together, by route. */
  readonly batching: () => ReadonlyMap<string, boolean>;
  /** Calls that wait at a pace, by route that lets calls wait. */
  readonly limitWaiting: () => ReadonlyMap<string, number>;
  /** Since the keys of issuers that publish them were fetched. */
  readonly keysAges: () => readonly { readonly issuer: string; readonly ageSeconds: number }[];
  /** Jobs by their state, and the rows that they have asked, by route. */
  readonly jobs: () => JobCounts;
  /** Lines the log has dropped because their reader was too slow. */
  readonly linesDropped: () => number;
  /** Lines of the audit trail, by how they fared. */
  readonly auditLines: () => { readonly written: number; readonly lost: number };
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Emits what has happened and was not emitted yet. */
  readonly catchUp: () => void;
  readonly version: string;
  /** Node's version. */
  readonly node: string;
  /** Whether prom-client's process metrics are there; what they observe with lives as long as the process. */
  readonly withProcess: boolean;
}

/** What is counted of jobs. */
export interface JobCounts {
  readonly states: Readonly<Record<string, number>>;
  readonly rows: ReadonlyMap<string, { readonly ok: number; readonly failed: number }>;
}

/** Events as Prometheus series. */
export interface Metrics {
  readonly observe: Observe;
  readonly contentType: string;
  /** What Prometheus scrapes. */
  text(): Promise<string>;
  close(): void;
}

/** Turns events into the contract's metrics, in a registry of its own. */
export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const series = createSeries(registry, options);
  createGauges(registry, options);
  if (options.withProcess) collectProcess(registry);
  const sweep = () => removeWhatIsGone(series, options);

  return {
    contentType: registry.contentType,
    observe(event) {
      record(series, event);
      // Memory must not grow where no scraper comes.
      if (event.kind === 'config-loaded') sweep();
    },
    text() {
      options.catchUp();
      sweep(); // A request of an old generation may have ended after its route was gone.
      return registry.metrics();
    },
    close: () => registry.clear(),
  };
}

/** Gauges by the name of counters, which promtool refuses: what they sum up stands beside them, by type. */
const MISNAMED = ['nodejs_active_resources_total', 'nodejs_active_handles_total', 'nodejs_active_requests_total'];

function collectProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}

type Series = ReturnType<typeof createSeries>;

function createSeries(registry: Registry, { wallMs, inFlight }: MetricsOptions) {
  const tally = (family: Family) => createTally(registry, family);
  const durations = (family: Family) => createDurations(registry, family);
  const reload = { success: 0, atSeconds: 0 };
  readGauge(registry, family('requests_in_flight', 'Requests under way.'), inFlight);
  readGauge(registry, family('config_reload_success', '1: the last load was taken; 0: refused.'), () => reload.success);
  readGauge(
    registry,
    family('config_reload_timestamp_seconds', 'When the configuration in use was loaded.'),
    () => reload.atSeconds,
  );

  return {
    loaded: () => Object.assign(reload, { success: 1, atSeconds: wallMs() / 1000 }),
    refused: () => Object.assign(reload, { success: 0 }),
    requests: tally(family('requests_total', 'Requests answered.', ['route', 'method', 'status'])),
    requestTime: durations(family('request_duration_seconds', 'From the request to its reply’s end.', ['route'])),
    refusals: tally(family('refusals_total', 'Refusals and failures by code.', ['route', 'code'])),
    invalidInputs: tally(family('invalid_inputs_total', 'Calls whose input `validate` refused.', ['route'])),
    attempts: tally(family('attempts_total', 'Exchanges with instances.', ['service', 'instance', 'outcome'])),
    attemptStatuses: tally(
      family('attempt_statuses_total', 'Answers of instances by class of status.', ['service', 'instance', 'class']),
    ),
    attemptTime: durations(family('attempt_duration_seconds', 'From sending to the answer’s end.', ['service'])),
    retries: tally(family('retries_total', 'Attempts after the first.', ['service', 'reason'])),
    queueTime: durations(family('queue_wait_seconds', 'Time spent waiting for a place.', ['service'])),
    ejections: tally(family('ejections_total', 'Instances taken out of rotation.', ['service', 'reason'])),
    batchRows: createRowCounts(registry, family('batch_rows', 'Rows that travelled together.', ['service'])),
    batchRechecks: tally(
      family('batch_rechecks_total', 'Rows of batches that were asked again alone.', ['service', 'result']),
    ),
    sentAhead: tally(family('sent_ahead_total', 'Calls that R was handed a moment before it was free.', ['service'])),
    cacheRequests: tally(family('cache_requests_total', 'Requests that asked a cache.', ['route', 'result'])),
    coalesced: tally(family('coalesced_total', 'Requests that shared the call of another.', ['route'])),
    limitExceeded: tally(
      family('limit_exceeded_total', 'Calls that were too much for a limit; `enforced="false"`: it only counts.', [
        'route',
        'limit',
        'enforced',
      ]),
    ),
    pluginFailures: tally(family('plugin_failures_total', 'Calls that a plug-in cost their answer.', ['plugin'])),
    internalErrors: tally(family('internal_errors_total', 'Mistakes of the gateway; the log has their stacks.')),
  };
}

function record(series: Series, event: GatewayEvent): void {
  if (event.kind === 'request') recordRequest(series, event);
  else if (event.kind === 'batch') series.batchRows.observe(event.service, event.rows);
  else if (event.kind === 'attempt') recordAttempt(series, event, event);
  else if (event.kind === 'sent-ahead') series.sentAhead.add(event.service);
  else if (event.kind === 'limit-exceeded')
    series.limitExceeded.add(event.route, event.limit, String(event.isEnforced));
  else recordRare(series, event);
}

/** Where the call was sent. */
type Target = Pick<RequestEvent, 'service' | 'instance'>;

function recordAttempt(series: Series, { service, instance }: Target, attempt: AttemptFacts): void {
  if (service === null || instance === null) return;
  series.attempts.add(service, instance, attempt.outcome);
  if (attempt.status !== null) series.attemptStatuses.add(service, instance, classOf(attempt.status));
  series.attemptTime.observe(service, attempt.durationMs);
  if (attempt.queueMs !== null) series.queueTime.observe(service, attempt.queueMs);
}

/** The label `class`. */
function classOf(status: number): string {
  return CLASSES[Math.floor(status / 100)] ?? 'other';
}

const CLASSES = ['other', '1xx', '2xx', '3xx', '4xx', '5xx'];

function recordRare(series: Series, event: GatewayEvent): void {
  if (event.kind === 'retry') series.retries.add(event.service, event.reason);
  else if (event.kind === 'ejected') series.ejections.add(event.service, event.reason);
  else if (event.kind === 'internal-error') series.internalErrors.add();
  else if (event.kind === 'plugin-failed' || event.kind === 'plugin-blocked') series.pluginFailures.add(event.plugin);
  else if (event.kind === 'batch-recheck') series.batchRechecks.add(event.service, event.result);
  else if (event.kind === 'instance-left') {
    keepInstances(series, ({ service, instance }) => service !== event.service || instance !== event.instance);
  } else if (event.kind === 'config-loaded') series.loaded();
  else if (event.kind === 'config-refused') series.refused();
}

function keepInstances(series: Series, isWanted: Parameters<Tally['keepWhere']>[0]): void {
  for (const family of [series.attempts, series.attemptStatuses]) family.keepWhere(isWanted);
}

/** Callers may invent methods; labels may not grow with what callers invent. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);

function recordRequest(series: Series, event: RequestEvent): void {
  const { method, code, cache, attempt } = event;
  const route = event.route ?? '';
  series.requests.add(route, METHODS.has(method) ? method : 'OTHER', String(event.status));
  series.requestTime.observe(route, event.totalMs);
  if (code !== null) recordRefusal(series, route, code);
  if (cache !== null) series.cacheRequests.add(route, cache);
  if (event.isCoalesced) series.coalesced.add(route);
  if (attempt !== null) recordAttempt(series, event, attempt);
  else if (event.attempts === 0 && event.queueMs > 0) series.queueTime.observe(event.service ?? '', event.queueMs);
}

function recordRefusal(series: Series, route: string, code: string): void {
  series.refusals.add(route, code);
  if (code === 'INVALID_INPUT') series.invalidInputs.add(route);
}

function removeWhatIsGone(series: Series, { routeIds, services }: MetricsOptions): void {
  const routes = routeIds();
  const instances = new Map(services().map(view => [view.service, new Set(view.instances.map(({ id }) => id))]));
  const isRoute = ({ route = '' }) => route === '' || routes.has(route);
  const isService = ({ service = '' }) => instances.has(service);

  const { requests, requestTime, refusals, invalidInputs, cacheRequests, coalesced, limitExceeded } = series;
  for (const family of [requests, requestTime, refusals, invalidInputs, cacheRequests, coalesced, limitExceeded]) {
    family.keepWhere(isRoute);
  }
  const { attemptTime, retries, queueTime, ejections, batchRows, batchRechecks, sentAhead } = series;
  for (const family of [attemptTime, retries, queueTime, ejections, batchRows, batchRechecks, sentAhead]) {
    family.keepWhere(isService);
  }
  keepInstances(series, ({ service = '', instance = '' }) => instances.get(service)?.has(instance) ?? false);
}

/** Each is shown for every service, 0 included, so that an alert on 0 has a series to watch. */
const STATES: readonly InstanceState[] = [
  'in-rotation',
  'slow-start',
  'busy-unchecked',
  'ejected',
  'probation',
  'unhealthy',
  'draining',
];

type Reading = readonly [labels: Readonly<Record<string, string>>, value: number];

function createGauges(registry: Registry, options: MetricsOptions): void {
  const { services, rosterAges, batching, version, node } = options;
  const ofServices = (name: string, help: string, read: (view: ServiceView) => number) =>
    viewGauge(registry, family(name, help, ['service']), () =>
      services().map(view => [{ service: view.service }, read(view)]),
    );

  ofServices('queue_depth', 'Requests waiting for a place.', ({ queue }) => queue.depth);
  ofServices('permits_in_use', 'Places taken at instances.', ({ permits }) => permits.inUse);
  ofServices(
    'permits_abandoned',
    'Places where R still computes after its caller left.',
    ({ permits }) => permits.abandoned,
  );
  viewGauge(registry, family('instances', 'Instances by state.', ['service', 'state']), () =>
    services().flatMap(states),
  );
  viewGauge(registry, family('roster_age_seconds', 'Since the source was last heard.', ['source']), () =>
    rosterAges().map(({ source, ageSeconds }) => [{ source }, ageSeconds]),
  );
  const expiry = family('tls_certificate_expiry_seconds', 'When a certificate expires, in seconds since 1970.', [
    'name',
  ]);
  viewGauge(registry, expiry, () => options.certificates().map(({ name, atSeconds }) => [{ name }, atSeconds]));
  viewGauge(registry, family('jwks_age_seconds', 'Since the keys of an issuer were fetched.', ['issuer']), () =>
    options.keysAges().map(({ issuer, ageSeconds }) => [{ issuer }, ageSeconds]),
  );
  viewGauge(registry, family('limit_waiting', 'Calls that wait at a paced limit.', ['route']), () =>
    [...options.limitWaiting()].map(([route, count]) => [{ route }, count]),
  );
  viewGauge(registry, family('batching', '1: calls may travel together; 0: each travels singly.', ['route']), () =>
    [...batching()].map(([route, isOn]) => [{ route }, isOn ? 1 : 0]),
  );
  viewGauge(registry, family('build_info', 'What runs; always 1.', ['version', 'node']), () => [
    [{ version, node }, 1],
  ]);
  new Counter({
    ...familyOptions(
      registry,
      family('log_lines_dropped_total', 'Log lines dropped because their reader was too slow.'),
    ),
    collect() {
      this.reset();
      this.inc(options.linesDropped());
    },
  });
  createJobSeries(registry, options);
  new Counter({
    ...familyOptions(registry, family('audit_lines_total', 'Lines of the audit trail: written, lost.', ['result'])),
    collect() {
      this.reset();
      for (const [result, lines] of Object.entries(options.auditLines())) this.inc({ result }, lines);
    },
  });
}

function createJobSeries(registry: Registry, { jobs, routeIds }: MetricsOptions): void {
  viewGauge(registry, family('jobs', 'Jobs that are kept, by state.', ['state']), () =>
    Object.entries(jobs().states).map(([state, count]) => [{ state }, count]),
  );
  const rows = family('job_rows_total', 'Rows of jobs that have their answer, or their error.', ['route', 'result']);
  new Counter({
    ...familyOptions(registry, rows),
    collect() {
      this.reset();
      for (const [route, { ok, failed }] of jobs().rows) {
        if (!routeIds().has(route)) continue;
        this.inc({ route, result: 'ok' }, ok);
        this.inc({ route, result: 'failed' }, failed);
      }
    },
  });
}

function states({ service, instances }: ServiceView): Reading[] {
  return STATES.map(state => [{ service, state }, instances.filter(instance => instance.state === state).length]);
}

function viewGauge(registry: Registry, shown: Family, read: () => readonly Reading[]): void {
  new Gauge({
    ...familyOptions(registry, shown),
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.set(labels, value);
    },
  });
}

function readGauge(registry: Registry, shown: Family, read: () => number): void {
  viewGauge(registry, shown, () => [[{}, read()]]);
}

function family(name: string, help: string, labelNames: readonly string[] = []): Family {
  return { name: `penstock_${name}`, help, labelNames };
}
