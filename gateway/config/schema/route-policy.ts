import { z } from 'zod';
import type { CredentialPlace, LimitKey, Pace, RetryReason, RserveTask, VaryKey } from '../../domain/route.ts';
import type { PublishedAs } from '../../domain/validation/published.ts';
import { Addresses } from './listen.ts';
import { withLater } from './later.ts';
import { duration, flaw, size, text, whole, percent } from './scalars.ts';
import { isNamedKey, keyOf } from './service.ts';

/** What requests must agree in to share anything. */
const VaryBy = z
  .string()
  .meta({ pattern: '^(caller|header:.+)$', examples: ['caller', 'header:Accept-Language'] })
  .transform((written, { issues }): VaryKey => {
    if (written === 'caller') return { kind: 'caller' };
    if (isNamedKey(written, ['header'])) return { kind: 'header', name: keyOf(written).name.toLowerCase() };
    issues.push(flaw(written, 'must be caller or header:NAME'));
    return { kind: 'caller' };
  });

const Ttl = z.union([z.literal('http'), duration({ max: '30d', otherwise: '; or http' })], {
  error: 'must be a duration (250ms, 5s, 2m, 1h, 30d), or http',
});

/** What of R's answers is stored. */
const Cache = z.strictObject({
  ttl: Ttl.prefault('60s').describe(
    'How long an answer is fresh; `http`: as R’s own fields say, by RFC 9111 for a shared cache, for GET and HEAD.',
  ),
  entriesMax: whole(1, 1_000_000).default(1_024).describe('Answers kept; the least recently used goes first.'),
  bytesMax: size({ max: '16GiB' }).prefault('64MiB').describe('Their size together.'),
  staleIfError: duration({ min: '0ms', max: '30d' })
    .prefault('0s')
    .describe('How long after it has become stale an answer is still given where R gives none.'),
  methods: z
    .array(z.enum(['GET', 'HEAD', 'POST']))
    .min(1)
    .default(['GET', 'HEAD', 'POST'])
    .describe('Methods whose answers are stored; POST only where `pure: true`.'),
});

/** How calls travel together. */
const Batch = z.strictObject({
  sizeMax: whole(2, 10_000).default(64).describe('Rows that travel together at most.'),
  waitMax: duration({ min: '0ms', max: '10s' })
    .prefault('0ms')
    .describe('How long a call waits for others though an instance is idle.'),
  rows: z
    .enum(['array', 'columns'])
    .default('array')
    .describe('How a body holds its rows: as an array of records, or as columns of equal length.'),
  recheck: percent({ min: '0.001%' })
    .prefault('1%')
    .describe(
      'The share of rows that travelled together and are asked again alone, to compare. All of them at first; while answers agree ever fewer, down to this, and never under one in each minute of batching.',
    ),
  rowsIndependent: z
    .boolean()
    .default(false)
    .describe(
      'True: you declare that no row’s answer depends on the rows beside it. Needed where the service publishes no /prototype.',
    ),
});

const SCHEMES = z.enum(['jwt', 'api-key', 'opaque', 'ldap', 'mtls', 'anonymous']);

const CredentialPlaceText = z
  .string()
  .meta({ pattern: '^(header|protocol|cookie:.+)$', examples: ['header', 'cookie:session', 'protocol'] })
  .transform((written, { issues }): CredentialPlace => {
    if (written === 'header' || written === 'protocol') return { kind: written };
    const name = /^cookie:([!#$%&'*+.^_`|~0-9A-Za-z-]+)$/.exec(written)?.[1];
    if (name === undefined) issues.push(flaw(written, 'must be one of header, cookie:NAME, protocol'));
    return { kind: 'cookie', name: name ?? '' };
  });

const Auth = z.strictObject({
  allow: z
    .array(SCHEMES)
    .min(1)
    .optional()
    .describe(
      'Schemes that are accepted. Default: those that `identity` names. A bad credential is refused even where `anonymous` is allowed.',
    ),
  from: z
    .array(CredentialPlaceText)
    .min(1)
    .optional()
    .describe(
      'Where a token may stand: `header`; `cookie:NAME`, from pages of `cors.origins` and the gateway’s own; `protocol`, after `bearer` in `Sec-WebSocket-Protocol`. Default: `header`. Nothing of it is passed on.',
    ),
  scopes: z.array(text()).default([]).describe('All of them are needed.'),
  roles: z.array(text()).default([]).describe('Any of them is needed.'),
  forwardToken: z.boolean().default(false).describe('Whether the instance gets the `Authorization` field.'),
});

const LimitBy = z
  .string()
  .meta({ pattern: '^(caller|ip|route|header:.+)$', examples: ['caller', 'ip', 'route', 'header:X-Tenant'] })
  .transform((written, { issues }): LimitKey => {
    if (written === 'caller' || written === 'ip' || written === 'route') return { kind: written };
    if (isNamedKey(written, ['header'])) return { kind: 'header', name: keyOf(written).name.toLowerCase() };
    issues.push(flaw(written, 'must be one of caller, ip, route, header:NAME'));
    return { kind: 'caller' };
  });

const Limit = z
  .strictObject({
    rate: whole(1, 1_000_000_000).describe('How many calls, or rows.'),
    per: duration({ min: '100ms', max: '31d' }).describe(
      'In which time: a window that begins with the first call. What windows of an hour or longer have counted survives a restart.',
    ),
    by: LimitBy.prefault('caller').describe('What is counted together: caller, ip, route or header:NAME.'),
    excess: z
      .enum(['reject', 'queue'])
      .default('reject')
      .describe(
        'What happens to the rest: `reject` refuses it with RATE_LIMITED; `queue` lets `rate` calls through in `per` at equal distances, and the others wait.',
      ),
    burst: whole(1, 1_000_000_000)
      .optional()
      .describe('With `excess: queue`: how many go through at once after a pause. Default 1.'),
    waitMax: duration({ min: '0ms', max: '1h' })
      .optional()
      .describe('With `excess: queue`: a call that would wait longer is refused at once. Default 2s.'),
    depthMax: whole(0, 10_000)
      .optional()
      .describe('With `excess: queue`: how many wait that are counted together. Default 256.'),
    cost: z
      .enum(['calls', 'rows'])
      .default('calls')
      .describe(
        'What is counted: calls, or the rows in their bodies, once a body is known; by caller or route. Of a JSON array its elements are counted, of an object the longest of its lists; any other body is one row.',
      ),
    onStoreFailure: z
      .enum(['allow', 'refuse', 'local'])
      .default('allow')
      .describe(
        'Where `redis` of gateway.yaml does not answer: calls go on uncounted, are refused with LIMITS_UNAVAILABLE, or are counted by each gateway for itself.',
      ),
    enforce: z
      .boolean()
      .default(true)
      .describe(
        'False: nothing is refused and nothing waits; what would have been is counted in `penstock_limit_exceeded_total`.',
      ),
  })
  .check(({ value, issues }) => {
    for (const key of ['burst', 'waitMax', 'depthMax'] as const) {
      if (value.excess === 'queue' || value[key] === undefined) continue;
      issues.push({
        ...flaw(value[key], 'is for calls that may wait', 'write `excess: queue` beside it'),
        path: [key],
      });
    }
    if (value.cost === 'rows' && (value.by.kind === 'ip' || value.by.kind === 'header')) {
      const message = 'is counted once the body is known, and addresses and headers are counted before';
      issues.push({ ...flaw(value.cost, message, 'write `by: caller` or `by: route`'), path: ['cost'] });
    }
  })
  .transform(({ rate, per, by, cost, enforce, onStoreFailure, ...rest }) => ({
    ...{ rate, perMs: per, by, cost, isEnforced: enforce },
    pace: paceOf(rest),
    onStoreFailure,
  }));

interface WrittenPace {
  readonly excess: 'reject' | 'queue';
  readonly burst?: number | undefined;
  readonly waitMax?: number | undefined;
  readonly depthMax?: number | undefined;
}

function paceOf({ excess, burst = 1, waitMax = 2_000, depthMax = 256 }: WrittenPace): Pace | undefined {
  return excess === 'reject' ? undefined : { burst, waitMsMax: waitMax, depthMax };
}

const RETRY_REASONS = ['connect-failure', 'connection-lost', 'attempt-timeout'] as const;

const RetryOn = z.union([z.enum(RETRY_REASONS), whole(400, 599)], {
  error: 'must be one of connect-failure, connection-lost, attempt-timeout, or a status from 400 to 599',
});

const RETRY_ON: RetryReason[] = ['connect-failure', 'connection-lost', 'attempt-timeout', 502, 503, 504];

const Retry = z.strictObject({
  attempts: whole(1, 10).default(3).describe('How many, the first counted.'),
  attemptTimeout: duration({ max: '1d' })
    .optional()
    .describe('How long one attempt may take. Default `timeout`, and a third of it where a repeat is allowed.'),
  on: z
    .array(RetryOn)
    .default(RETRY_ON)
    .describe('What is repeated: failures of transport by name, answers by status.'),
  budgetPercent: whole(0, 100)
    .default(20)
    .describe('The share of requests that may be retries; never fewer than 10 a second.'),
});

const Cors = z
  .strictObject({
    origins: z.array(text()).min(1).describe('Origins in full, such as https://app.example.org, or `*`.'),
    methods: z
      .array(z.string().regex(/^(?:\*|[A-Z]+)$/, 'must be a method in capitals, or *'))
      .min(1)
      .default(['GET', 'POST'])
      .describe('Methods they may use.'),
    headers: z
      .array(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be the name of a header field'))
      .default(['authorization', 'content-type'])
      .describe('Header fields they may send.'),
    expose: z
      .array(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'must be the name of a header field'))
      .default([])
      .describe('Header fields of the answer that scripts may read, beside those that they always may.'),
    credentials: z.boolean().default(false).describe('Whether cookies and the like may be sent.'),
    maxAge: duration({ min: '0ms', max: '1d' }).prefault('10m').describe('How long a browser may cache this.'),
  })
  .check(({ value, issues }) => {
    value.origins.forEach((origin, i) => {
      if (isOrigin(origin)) return;
      issues.push({
        ...flaw(origin, 'must be an origin', 'write https://HOST or https://HOST:PORT, without a path'),
        path: ['origins', i],
      });
    });
  })
  .transform(({ maxAge, ...rest }) => ({ ...rest, maxAgeSeconds: Math.floor(maxAge / 1_000) }));

/** Browsers send `null` for files and sandboxes, and other schemes for apps. */
function isOrigin(text: string): boolean {
  return text === '*' || text === 'null' || /^[a-z][a-z0-9+.-]*:\/\/[^/\s?#@*]+$/.test(text);
}

const Body = z.strictObject({
  max: size({ min: '0B', max: '1GiB' })
    .prefault('1MiB')
    .describe(
      'A larger body is refused with BODY_TOO_LARGE. On a stream it bounds the request’s body, where it is written.',
    ),
});

const Answer = z.strictObject({
  bufferMax: size({ min: '0B', max: '1GiB' })
    .prefault('1MiB')
    .describe(
      'Up to this size R’s answer is read whole before the caller gets it, so that a slow caller does not occupy R.',
    ),
  errorMessages: z
    .boolean()
    .default(false)
    .describe(
      'Whether callers are told R’s own message where Plumber answers 500 with one, as it does with `debug`, and where a function behind Rserve fails. It may name files and code.',
    ),
});

const ValidateFrom = z
  .string()
  .meta({ examples: ['prototype', 'openapi', 'schemas/fuel.json'] })
  .transform((written, { issues }): PublishedAs | { readonly file: string } => {
    if (written === 'prototype' || written === 'openapi') return written;
    if (!/[./]/.test(written)) issues.push(flaw(written, 'must be prototype, openapi or the path of a JSON Schema'));
    return { file: written };
  });

const Validate = z.strictObject({
  from: ValidateFrom.prefault('prototype').describe(
    'What input is held against: what the service publishes at /prototype (columns, types, factor levels) or at /openapi.json, or a JSON Schema in a file.',
  ),
  unknown: z
    .enum(['allow', 'refuse'])
    .default('allow')
    .describe(
      'What happens to fields that the service does not know: `allow`: R drops them; `refuse`: the call is refused.',
    ),
  rowsMax: whole(1, 10_000_000).default(10_000).describe('Records in one body at most.'),
  depthMax: whole(2, 100).default(32).describe('How deep a body may be nested.'),
});

const Rserve = z
  .strictObject({
    call: z
      .string()
      .regex(
        /^(?:[A-Za-z][A-Za-z0-9.]*::)?(?:[A-Za-z]|[.](?![0-9]))[A-Za-z0-9._]*$/,
        'must be the name of a function of R: NAME, or PACKAGE::NAME',
      )
      .optional()
      .describe(
        'A function that is called with the rows as a data frame. A vector that it returns is answered as `{".pred": …}`, a data frame as records, a list as an object: vetiver’s shapes.',
      ),
    script: text()
      .optional()
      .describe(
        'In place of `call`: a folder on the machine of Rserve with scripts as FastRWeb has them. What is asked for under `/NAME` is answered by `run(…)` of `NAME.R`, with the query as arguments; or by `.http.request`, where Rserve has that.',
      ),
  })
  .transform(({ call, script }, { issues }): RserveTask => {
    if ((call === undefined) === (script === undefined))
      issues.push(flaw(undefined, 'needs `call` or `script`, and one of them', 'write call: FUNCTION'));
    return call === undefined ? { kind: 'script', folder: script ?? '' } : { kind: 'call', name: call };
  });

const Grpc = z.strictObject({
  proto: text().describe(
    'A `.proto`, relative to this file. What it imports is looked up beside it and in the folders above.',
  ),
  service: text()
    .optional()
    .describe('The service with its package, such as fuel.v1.Fuel. Needed where the file declares several.'),
});

/** What a route may have beside the dialect, and `defaults` may say for all. */
export const RoutePolicyKeys = withLater(
  z.strictObject({
    auth: Auth.optional().describe(
      'Which callers may use the route. Where `identity` is configured, a route without `auth` asks for a credential.',
    ),
    limits: z.array(Limit).default([]).describe('How much callers may; several may hold at once. Off unless written.'),
    body: Body.prefault({}).describe('What callers may send as a body.'),
    answer: Answer.prefault({}).describe('What becomes of the answers of instances.'),
    timeout: duration({ max: '1d' }).prefault('30s').describe('The whole request: queue, attempts, back-off and body.'),
    pure: z
      .boolean()
      .default(false)
      .describe(
        'True: calling twice does no harm, whatever the method. Then a POST may be repeated, shared, cached and batched.',
      ),
    retry: Retry.prefault({}).describe('When, and how often, a request is sent again.'),
    addresses: Addresses.prefault({}).describe(
      'The addresses that callers of this route may call from; `addresses` of gateway.yaml holds as well.',
    ),
    cors: Cors.optional().describe('What scripts of other origins may do. Off unless written.'),
    priority: z
      .enum(['high', 'normal', 'low'])
      .default('normal')
      .describe(
        'The share of freed instances that the route’s calls get: where calls of all three wait, `high` gets 16 of 21, `normal` 4, `low` 1.',
      ),
    coalesce: z
      .boolean()
      .default(false)
      .describe(
        'Equal requests in flight share one. Of methods other than GET and HEAD only POST, where `pure: true`.',
      ),
    cache: Cache.optional().describe('R’s successful answers are stored. Off unless written.'),
    batch: Batch.optional().describe(
      'Different calls that wait for an instance travel as one, and are answered as R would answer each alone. Only POST, where `pure: true`. Off unless written.',
    ),
    varyBy: z
      .array(VaryBy)
      .default([])
      .describe(
        'caller, header:NAME: requests share an answer, a flight or a batch only where they agree in these. R is sent nothing else of them but their content.',
      ),
    stream: z
      .boolean()
      .default(false)
      .describe('WebSocket, server-sent events, long bodies: never buffered, retried, cached or batched.'),
    audit: z
      .boolean()
      .default(false)
      .describe(
        'Every call stands in the audit trail (`audit` in gateway.yaml): who, from where, which model and version, a digest of the request, the status.',
      ),
    validate: Validate.optional().describe(
      'Input that the service cannot take is refused with INVALID_INPUT, and does not reach R. Off unless written.',
    ),
    rserve: Rserve.optional().describe(
      'How a call becomes one of R, where the service is an Rserve (`rserve://HOST:PORT`). `{ call: FUNCTION }` or `{ script: FOLDER }`.',
    ),
    grpc: Grpc.optional().describe(
      'The methods of a service of gRPC that callers may call in place of REST, by gRPC, gRPC-Web and Connect. `google.api.http` in the `.proto` says which request of the route each method is. Off unless written.',
    ),
    async: z
      .enum(['allow', 'refuse', 'always'])
      .default('allow')
      .describe(
        'Whether a POST becomes a job, where the route is `pure: true` and gateway.yaml has `jobs`: `allow`: where its caller sends `Prefer: respond-async`, or brings a file; `refuse`: never; `always`: each (docs/jobs.md).',
      ),
    compress: z
      .boolean()
      .default(false)
      .describe(
        'Answers in text are compressed for callers that take it (br, gzip). Off unless written: from the length of a compressed answer a secret can be guessed that stands beside a caller’s own text.',
      ),
    csv: z
      .boolean()
      .default(false)
      .describe(
        'CSV in and out: a body of `text/csv` is passed on as the JSON that it means, typed by /prototype where the service has it; an answer that is a table is told as CSV to callers whose `Accept` prefers `text/csv`.',
      ),
    streamIdle: duration({ min: '1s', max: '1d' })
      .prefault('5m')
      .describe('How long a stream may carry nothing before it is ended.'),
  }),
  { keys: ['experiment', 'mirror', 'askVersion', 'slo'] },
);

type PolicyShape = typeof RoutePolicyKeys.shape;

/** What a route, or `defaults`, says of its policy: only the keys that are written, each understood. */
export type WrittenPolicy = { readonly [K in keyof PolicyShape]?: z.output<PolicyShape[K]> };
