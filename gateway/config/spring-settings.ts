import { nearestOf } from './nearest.ts';
import type { Complain, Complaint } from './problem.ts';
import { isMap, kebab, type SpringEntry } from './spring-keys.ts';

/**
 * What becomes of a setting of Spring's beside its routes.
 *
 *   taken  a key of ours says the same, and is set to it
 *   idle   it changes nothing here, and is told in one warning
 *   wrong  it would mean less here: an error that says what to write
 */
type Verdict = { readonly kind: 'taken' | 'idle' } | { readonly kind: 'wrong'; readonly way: string };

const TAKEN: Verdict = { kind: 'taken' };
const IDLE: Verdict = { kind: 'idle' };

const wrong = (way: string): Verdict => ({ kind: 'wrong', way });

const LOCATOR_ROUTE =
  "`- { id: NAME, uri: 'lb://NAME', predicates: ['Path=/NAME/**'], filters: ['RewritePath=/NAME/?(?<remaining>.*), /$\\{remaining}'] }`";

const SERVLET = wrong('routes of the Servlet gateway have filters of their own; write them under `routes:`');

/** The settings there are, those within another before it; what stands below one of them is judged with it. */
const SETTINGS: readonly (readonly [key: string, verdict: Verdict | ((value: unknown) => Verdict)])[] = [
  ['globalcors.cors-configurations', TAKEN],
  ['globalcors.add-to-simple-url-handler-mapping', IDLE],
  ['httpclient.response-timeout', TAKEN],
  ['httpclient.connect-timeout', TAKEN],
  ['httpclient.proxy', wrong('leave it out: instances are called without a proxy between')],
  ['httpclient', IDLE],
  [
    'discovery.locator.enabled',
    value =>
      isOn(value) ? wrong(`leave it out, and write under \`routes:\` for each service ${LOCATOR_ROUTE}`) : IDLE,
  ],
  ['discovery', IDLE],
  [
    'loadbalancer.use404',
    value => (isOn(value) ? wrong('leave it out: no instance is 503 SERVICE_UNAVAILABLE here') : IDLE),
  ],
  ['loadbalancer', IDLE],
  ['filter.secure-headers', wrong('leave it out, and write `SetResponseHeader=NAME, VALUE` under `default-filters`')],
  ['filter', IDLE],
  ['default-filter', wrong('the key is `default-filters`')],
  ['trusted-proxies', wrong('leave it out, and write `listen: { trustedProxies: [10.0.0.0/8] }` in gateway.yaml')],
  ['set-status', wrong('leave it out: the original status is not kept')],
  ['server.webmvc', SERVLET],
  ['mvc', SERVLET],
  ...['enabled', 'fail-on-route-definition-error', 'forwarded', 'global-filter', 'handler-mapping', 'httpserver'].map(
    key => [key, IDLE] as const,
  ),
  ...['metrics', 'observability', 'predicate', 'redis-rate-limiter', 'restrictive-property-accessor'].map(
    key => [key, IDLE] as const,
  ),
  ...['route-refresh-listener', 'streaming-media-types', 'x-forwarded'].map(key => [key, IDLE] as const),
];

/** Where the same is said here, of settings that are told to change nothing. */
const OUR_WAY: readonly (readonly [key: string, way: string])[] = [
  ['httpclient.pool', '`services: { NAME: { concurrency, connection } }`'],
  ['httpclient.ssl', '`services: { NAME: { tls } }`'],
  ['redis-rate-limiter', '`limits` on a route'],
  ['filter.local-response-cache', '`cache` on a route'],
];

function isOn(value: unknown): boolean {
  return value === true || value === 'true';
}

/** The settings that keys of ours stand for; the others are told of, each error at its place. */
export function judgeSettings(found: readonly SpringEntry[], complain: Complain): SpringEntry[] {
  const taken: SpringEntry[] = [];
  const idle: SpringEntry[] = [];
  for (const entry of found) judge(entry, { taken, idle, complain });
  const [first] = idle;
  if (first !== undefined) complain({ ...idleWords(idle), path: first.path, severity: 'warning', isAboutKey: true });
  return taken;
}

interface Judging {
  readonly taken: SpringEntry[];
  readonly idle: SpringEntry[];
  readonly complain: Complain;
}

function judge(entry: SpringEntry, judging: Judging): void {
  const { key, value, path } = entry;
  const known = SETTINGS.find(([name]) => key === name || key.startsWith(`${name}.`));
  const isParent = SETTINGS.some(([name]) => name.startsWith(`${key}.`));
  if (isParent && (isMap(value) || value === null)) {
    for (const [name, item] of Object.entries(value ?? {})) {
      judge({ key: `${key}.${kebab(name)}`, value: item, path: [...path, name] }, judging);
    }
    return;
  }
  if (known === undefined) {
    judging.complain({ path, ...unknownWords(key), isAboutKey: true });
    return;
  }
  const verdict = typeof known[1] === 'function' ? known[1](value) : known[1];
  if (verdict.kind === 'wrong') {
    const message = `\`${key}${isOn(value) ? ': true' : ''}\` is not a setting of this gateway`;
    judging.complain({ path, message, hint: verdict.way, isAboutKey: true });
  } else judging[verdict.kind].push(entry);
}

function unknownWords(key: string): Pick<Complaint, 'message' | 'hint'> {
  const nearest = nearestOf(key, ['routes', 'default-filters', ...SETTINGS.map(([name]) => name)]);
  const hint = nearest === undefined ? 'leave it out: Spring Cloud Gateway has none' : `did you mean \`${nearest}\`?`;
  return { message: `unknown key \`${key}\``, hint };
}

function idleWords(idle: readonly SpringEntry[]): Pick<Complaint, 'message' | 'hint'> {
  const keys = idle.map(({ key }) => key);
  const ways = OUR_WAY.filter(([name]) => keys.some(key => key === name || key.startsWith(`${name}.`)));
  return {
    message: `changes nothing here: ${[...new Set(keys)].join(', ')}`,
    hint: ways.length === 0 ? undefined : `the same is said by ${ways.map(([, way]) => way).join(', ')}`,
  };
}
