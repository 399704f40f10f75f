import { z } from 'zod';
import { Addresses, Listen } from './listen.ts';
import { Discovery } from './discovery.ts';
import { Identity } from './identity.ts';
import { Secret } from '../secret.ts';
import { Jobs } from './jobs.ts';
import { withLater } from './later.ts';
import { duration, size, text, whole, flaw, listeningPort } from './scalars.ts';
import { ADMIN_ROLES, isLoopback } from '../../domain/operating/admin.ts';

const Token = z
  .strictObject({
    name: text().describe('The name that the log gives to the token’s owner.'),
    sha256: z
      .string()
      .regex(/^[0-9a-fA-F]{64}$/, 'must be a SHA-256 digest: 64 hexadecimal digits')
      .transform(digest => digest.toLowerCase())
      .describe('The digest of the token: `printf %s TOKEN | sha256sum`. The token itself stands nowhere.'),
    role: z
      .enum(ADMIN_ROLES)
      .describe(
        'A viewer looks; a scientist looks, and purges and rechecks the services named for them; an operator does everything but read the audit trail; an auditor looks, and reads the audit trail.',
      ),
    services: z.array(text()).default([]).describe('What a scientist may purge and recheck.'),
  })
  .check(({ value: { role, services }, issues }) => {
    const isScientist = role === 'scientist';
    if (isScientist === services.length > 0) return;
    const message = isScientist
      ? 'names no service, and a scientist may change only those'
      : 'is for the role scientist alone';
    issues.push({
      ...flaw(services, message, isScientist ? 'write `services: [fuel]`' : undefined),
      path: [isScientist ? 'role' : 'services'],
    });
  });

const held = () => z.array(text()).default([]);

const Roles = z.strictObject({
  viewer: held().describe('Roles of an identity that make a viewer.'),
  scientist: held().describe('The same for a scientist; each is named under `services` too.'),
  operator: held().describe('The same for an operator.'),
  auditor: held().describe('The same for an auditor.'),
});

const Access = z
  .strictObject({
    open: z
      .array(z.enum(['livez', 'readyz', 'metrics']))
      .default(['livez', 'readyz', 'metrics'])
      .describe('What may be read without a token.'),
    tokens: z
      .array(Token)
      .default([])
      .describe('Tokens for the rest, sent as `Authorization: Bearer TOKEN`, and what each may do.'),
    roles: Roles.prefault({}).describe(
      'Roles that a token, an API key or an LDAP group of `identity` gives, and what they are here.',
    ),
    services: z
      .record(text(), z.array(text()).min(1))
      .default({})
      .describe('By role of an identity: what such a scientist may purge and recheck.'),
  })
  .check(({ value: { roles, services }, issues }) => {
    for (const [i, role] of roles.scientist.entries()) {
      if (Object.hasOwn(services, role)) continue;
      const issue = flaw(
        role,
        'no service is named for this role, and a scientist may change only those',
        'name them beside `roles`, as in `services: { data-team: [fuel] }`',
      );
      issues.push({ ...issue, path: ['roles', 'scientist', i] });
    }
    for (const role of Object.keys(services)) {
      if (!roles.scientist.includes(role))
        issues.push({ ...flaw(undefined, 'is no role of `roles.scientist`'), path: ['services', role] });
    }
  });

/** The listener for operators. */
const Admin = z
  .strictObject({
    host: text().default('127.0.0.1').describe('The address to listen on.'),
    port: listeningPort().default(9090).describe('The port to listen on; 0 takes any that is free.'),
    access: Access.optional().describe(
      'What is open, and what needs a token. Required where `host` is not loopback; on loopback it has no effect, and everything is open.',
    ),
  })
  .check(({ value, issues }) => {
    if (isLoopback(value.host) || value.access !== undefined) return;
    const hint = 'write `access: { open: [livez, readyz, metrics], tokens: [] }`';
    const issue = flaw(value.host, 'is not loopback, and `admin.access` says nothing of who may do what', hint);
    issues.push({ ...issue, path: ['host'] });
  });

const Log = z.strictObject({
  level: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('The least severe level that is written.'),
  access: z.boolean().default(true).describe('One line a request.'),
});

const Drain = z
  .strictObject({
    grace: duration({ min: '0ms', max: '10m' })
      .prefault('5s')
      .describe('How long the gateway is unready on SIGTERM before it refuses new requests.'),
    timeout: duration({ min: '0ms', max: '1h' })
      .prefault('30s')
      .describe('How long calls in hand may take after that.'),
  })
  .transform(({ grace, timeout }) => ({ graceMs: grace, timeoutMs: timeout }));

const Audit = z
  .strictObject({
    file: text()
      .default('../.state/audit.jsonl')
      .describe('Where it is written: one JSON object a line, each with the hash of the one before.'),
    rotate: size({ min: '64KiB', max: '16GiB' })
      .prefault('64MiB')
      .describe('A file of this size is put aside as `audit.NUMBER.jsonl`, with the number of its first line.'),
    keep: whole(1, 100_000).default(30).describe('How many of those are kept.'),
    required: z
      .boolean()
      .default(false)
      .describe(
        'True: calls of routes with `audit: true` are refused with AUDIT_UNAVAILABLE while nothing can be written. False: they go on, and the trail says how many lines it lost.',
      ),
  })
  .transform(({ rotate, ...rest }) => ({ ...rest, rotateBytes: rotate }));

const Redis = z
  .strictObject({
    url: text()
      .regex(/^rediss?:\/\/[^/@\s?#]+(\/\d+)?$/, 'must be redis://HOST:PORT or rediss://HOST:PORT, without credentials')
      .describe('Where it is; `rediss` by TLS, verified.'),
    username: text().optional().describe('Its user, where it has several.'),
    password: text()
      .transform(written => new Secret(written))
      .optional()
      .describe('Best `${env:NAME}` or `${file:PATH}`.'),
    timeout: duration({ max: '5s' }).prefault('100ms').describe('How long a call waits for one answer of it.'),
  })
  .transform(({ timeout, ...rest }) => ({ ...rest, timeoutMs: timeout }));

const Limits = z.strictObject({
  file: text()
    .default('../.state/limits')
    .describe(
      'Where counts of windows of an hour or longer are kept, so that they survive a restart: hashes and numbers, written once a second where something changed.',
    ),
});

const Inference = z.strictObject({
  path: text()
    .regex(/^(?:\/[A-Za-z0-9._~-]+)+$/, 'must be a path without a slash at its end')
    .default('/v2')
    .describe('Where it is spoken over REST. Clients of the protocol expect /v2 at the end.'),
  grpc: z
    .boolean()
    .default(true)
    .describe(
      'It is spoken over gRPC as well (`inference.GRPCInferenceService`): over HTTP/2, so with `listen.tls` or `listen.h2c`.',
    ),
});

/** The shape of gateway.yaml: the process. Its descriptions are the manual. */
export const GatewayFile = withLater(
  z.strictObject({
    listen: Listen.prefault({}).describe('The listener for callers.'),
    admin: Admin.prefault({}).describe('The listener for operators: health, metrics, API.'),
    routes: text().default('routes.yaml').describe('The file with routes and services.'),
    user: text()
      .optional()
      .describe(
        'The user that the process becomes, where it is started as root, once it has bound its ports and read its files. Default: it stays root, and says so.',
      ),
    discovery: Discovery.prefault({}).describe(
      'Where the gateway knows instances from: one source or more; `lb://NAME` is the union of what they know of NAME.',
    ),
    identity: Identity.optional().describe(
      'How callers say who they are. Without it every caller may call every route, and the log warns of that at start.',
    ),
    audit: Audit.optional().describe(
      'The audit trail: every change made by hand or by a saved file, and every call of routes with `audit: true`. Off unless written.',
    ),
    redis: Redis.optional().describe(
      'Limits hold across all gateways that name the same one. Without it each gateway counts for itself.',
    ),
    limits: Limits.prefault({}).describe('What the limits of routes have in common.'),
    addresses: Addresses.prefault({}).describe(
      'The addresses that callers may call from; behind one of `listen.trustedProxies`, the address that the proxy names. Calls from others are refused with FORBIDDEN, before a route is sought.',
    ),
    jobs: Jobs.optional().describe(
      'Files of rows become jobs: callers bring one, and come back for the answers (docs/jobs.md). Off unless written.',
    ),
    plugins: z
      .array(text())
      .default([])
      .describe(
        'Files in TypeScript or JavaScript that bring predicates and filters of one’s own, and Express middleware (docs/plugins.md). They run within the gateway, with all its rights. A changed file is reloaded with the routes.',
      ),
    inference: Inference.optional().describe(
      'The Open Inference Protocol v2, as KServe and Triton speak it, for every service that routes publish and whose columns are known by /prototype (docs/doors.md). A model’s name is the id of its route. Off unless written.',
    ),
    log: Log.prefault({}).describe('What is written to standard output: one JSON object a line.'),
    drain: Drain.prefault({}).describe('How the gateway ends on SIGTERM or SIGINT.'),
  }),
  { keys: ['state', 'tracing', 'docs'] },
);
