import { z } from 'zod';
import type { AffinityKey, RservePolicy } from '../../domain/service.ts';
import { withLater } from './later.ts';
import { isAddressRange } from '../../domain/http/address-range.ts';
import { duration, flaw, percent, size, text, whole } from './scalars.ts';

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** A key of requests: a word, or `header:NAME`, `cookie:NAME`. */
export function keyOf(written: string): { kind: string; name: string } {
  const at = written.indexOf(':');
  return at === -1 ? { kind: written, name: '' } : { kind: written.slice(0, at), name: written.slice(at + 1) };
}

/** A key of requests that is `kind:NAME` with a name that may stand in a header or cookie. */
export function isNamedKey(written: string, kinds: readonly string[]): boolean {
  const { kind, name } = keyOf(written);
  return kinds.includes(kind) && FIELD_NAME.test(name);
}

const Affinity = z
  .string()
  .meta({
    pattern: '^(caller|ip|header:.+|cookie:.+)$',
    examples: ['caller', 'ip', 'header:X-Tenant', 'cookie:session'],
  })
  .transform((written, { issues }): AffinityKey => {
    if (written === 'caller' || written === 'ip') return { kind: written };
    const { kind, name } = keyOf(written);
    if (isNamedKey(written, ['header', 'cookie'])) {
      return kind === 'header' ? { kind, name: name.toLowerCase() } : { kind: 'cookie', name };
    }
    issues.push(flaw(written, 'must be one of caller, ip, header:NAME, cookie:NAME'));
    return { kind: 'caller' };
  });

const Balance = z
  .strictObject({
    policy: z
      .enum(['least-loaded', 'round-robin', 'two-choices', 'hash'])
      .default('least-loaded')
      .describe(
        'How an instance is chosen among those that are free. `least-loaded` calls one of equals eight times, then the next: an R that is called again at once answers sooner.',
      ),
    by: Affinity.optional().describe(
      'For `hash`: what keeps requests together: caller, ip, header:NAME or cookie:NAME. Default caller.',
    ),
    strict: z
      .boolean()
      .default(false)
      .describe(
        'For `hash`: true: a call waits for its own instance while that one is in rotation, however busy: right where R keeps state in its memory. False: it goes to another where its own is not free.',
      ),
  })
  .check(({ value, issues }) => {
    if (value.policy === 'hash') return;
    const add = (key: string) =>
      issues.push({ ...flaw(undefined, `\`${key}\` is only for \`policy: hash\``), path: [key] });
    if (value.by !== undefined) add('by');
    if (value.strict) add('strict');
  });

const Queue = z.strictObject({
  depthMax: whole(0, 100_000)
    .default(256)
    .describe(
      'Requests that may wait. When one more comes, the newest call of the caller with the most waiting calls is refused with QUEUE_FULL.',
    ),
  waitMax: duration({ min: '0ms', max: '1h' })
    .prefault('5s')
    .describe(
      'How long a request may wait before it is refused with QUEUE_TIMEOUT; at once, where it would surely wait longer.',
    ),
  fair: z
    .enum(['caller', 'none'])
    .default('caller')
    .describe(
      'Which waiting call is next, within a `priority`: `caller` takes the callers in turn, `none` the oldest call.',
    ),
});

const Connection = z.strictObject({
  reuse: z
    .union([z.boolean(), z.literal('auto')], { error: 'must be true, false or auto' })
    .optional()
    .describe(
      'Whether connections are kept between calls. `auto`: where the way to the instance acknowledges quickly; `false` is right for Plumber elsewhere, which stalls on kept ones. Default auto; true for a route’s plain http(s) URI.',
    ),
  connectTimeout: duration({ min: '1ms', max: '5m' }).prefault('1s').describe('How long connecting may take.'),
});

/** Labels of letters, digits, `_` and `-`. */
const HOST_NAME = /^(?=.{1,253}$)[\w](?:[\w-]{0,61}\w)?(?:\.\w(?:[\w-]{0,61}\w)?)*$/;

const Tls = z
  .strictObject({
    ca: text()
      .optional()
      .describe('A PEM file with the authorities that certificates are verified by. Default: those that Node knows.'),
    cert: text()
      .optional()
      .describe(
        'A PEM file with the certificate that instances are shown, and its chain. It goes together with `key`.',
      ),
    key: text().optional().describe('A PEM file: its private key, not encrypted.'),
    serverName: z
      .string()
      .check(({ value, issues }) => {
        if (!HOST_NAME.test(value) && !isAddressRange(value))
          issues.push(flaw(value, 'must be a name of a host, or an address'));
      })
      .optional()
      .describe(
        'The name that certificates must be for, and that is asked for (SNI). Default: the host of each address.',
      ),
    verify: z.boolean().default(true).describe('False: any certificate is taken. `check` and every start warn of it.'),
  })
  .check(({ value, issues }) => {
    if ((value.cert === undefined) === (value.key === undefined)) return;
    const lacking = value.cert === undefined ? 'cert' : 'key';
    issues.push({
      ...flaw(undefined, `goes together with \`${lacking}\``),
      path: [lacking === 'cert' ? 'key' : 'cert'],
    });
  });

const Health = z.strictObject({
  path: z
    .string()
    .startsWith('/', 'must start with /')
    .optional()
    .describe(
      'What is asked for; only a 2xx or 3xx passes. Default `/ping`, and an instance that has no such path passes where it takes connections.',
    ),
  interval: duration({ min: '100ms', max: '1h' }).prefault('5s').describe('How often.'),
  timeout: duration({ min: '10ms', max: '10m' }).prefault('2s').describe('How long the answer may take.'),
  passes: whole(1, 100).default(1).describe('Good answers in a row that make an instance well.'),
  fails: whole(1, 100).default(3).describe('Failures in a row that make it unwell.'),
});

const Share = z
  .strictObject({
    callsMin: whole(1, 1_000_000)
      .default(30)
      .describe(
        'Calls that an instance must have answered within the window, on routes that its peers have answered, too.',
      ),
    window: duration({ min: '1s', max: '1h' }).prefault('30s').describe('How far back calls count.'),
    confidence: percent({ min: '50%', max: '99.9999%' })
      .prefault('99%')
      .describe('How sure it must be that the difference is not chance.'),
  })
  .transform(({ window, ...rest }) => ({ ...rest, windowMs: window }));

const Outlier = z
  .strictObject({
    failures: whole(1, 10_000)
      .default(5)
      .describe('Failures in a row that eject an instance; only those that no caller can cause count.'),
    ejectFor: duration({ min: '10ms', max: '1d' })
      .prefault('30s')
      .describe('How long, the first time; longer with each repetition.'),
    ejectForMax: duration({ min: '10ms', max: '1d' }).prefault('5m').describe('How long at most.'),
    percentMax: whole(0, 100)
      .default(50)
      .describe(
        'The share of instances that may be out at once; rounded down, but at least one where `keepMin` allows.',
      ),
    keepMin: whole(0, 1_000).default(1).describe('Instances that stay in, however badly they do.'),
    statuses: z
      .array(whole(400, 599))
      .default([502, 503, 504])
      .describe('Answers that count as failures of the instance.'),
    share: Share.prefault({}).describe(
      'An instance whose share of R’s own errors stands out beside its peers’, on the same routes and for different callers, is ejected; one instance alone never is.',
    ),
  })
  .check(({ value, issues }) => {
    if (value.ejectForMax >= value.ejectFor) return;
    issues.push({ ...flaw(undefined, 'must not be shorter than `ejectFor`'), path: ['ejectForMax'] });
  });

const Rserve = z
  .strictObject({
    user: text().optional().describe('Who logs in, where Rserve asks for it (`auth required`).'),
    password: text()
      .optional()
      .describe(
        'Best `${env:NAME}`. It is sent in the clear where Rserve takes that (`plaintext enable`), else as crypt(3) makes it.',
      ),
    callsMax: whole(1, 1_000_000_000).default(1_000).describe('An R that has answered so many calls is replaced.'),
    memoryMax: size({ min: '1MiB', max: '1024GiB' })
      .prefault('1GiB')
      .describe('An R that occupies more memory is replaced; it is looked at after each eighth of its calls.'),
  })
  .transform(({ user, password, callsMax, memoryMax }, { issues }): RservePolicy => {
    if ((user === undefined) !== (password === undefined))
      issues.push(flaw(undefined, 'needs `user` and `password`, or none of them'));
    const account = user === undefined || password === undefined ? undefined : { user, password };
    if (account !== undefined && /[\0\r\n]/.test(account.user + account.password))
      issues.push(flaw(undefined, 'a user and a password are a line of text each'));
    return { account, callsMax, memoryBytesMax: memoryMax };
  });

/** How the instances behind one name are treated. */
export const Service = withLater(
  z.strictObject({
    balance: Balance.prefault({}).describe('How an instance is chosen.'),
    concurrency: whole(1, 10_000)
      .optional()
      .describe(
        'Requests one instance works on at once; Consul meta `concurrency` overrides it. Default 1, as R computes one thing at a time; 64 for a route’s plain http(s) URI.',
      ),
    queue: Queue.prefault({}).describe('The service’s one queue, in the gateway.'),
    ahead: z
      .enum(['auto', 'off'])
      .default('auto')
      .describe(
        '`auto`: where calls are short and steady, R is handed the next one a moment before it is done with the last. `off`: never.',
      ),
    hangMax: duration({ min: '100ms', max: '1d' })
      .prefault('2m')
      .describe(
        'How long a call may go without an answer before it is hung. A hung call holds its permit until the instance answers a check; the instance is ejected when a check fails, too.',
      ),
    streamsMax: whole(0, 100_000).default(64).describe('Streams an instance carries beside its permits.'),
    connection: Connection.prefault({}).describe('How instances are connected to.'),
    tls: Tls.optional().describe(
      'How instances are spoken to whose address is `https://`, `rserves://` or `grpcs://`, or of which Consul’s meta says `secure: true`.',
    ),
    sharedSecret: text()
      .check(({ value, issues }) => {
        if (!/^[ -~]*$/.test(value)) issues.push(flaw(value, 'must be printable ASCII: it is sent as a header field'));
      })
      .optional()
      .describe(
        'Sent as PLUMBER_SHARED_SECRET, so that R’s own port is no way round the gateway. Best `${env:NAME}`. R processes of `discovery.local` are started with it, and take a new one when they are started again.',
      ),
    health: Health.prefault({}).describe('How an instance is asked whether it is well, beside what its source says.'),
    outlier: Outlier.prefault({}).describe('When an instance’s failures stand out, and what then happens.'),
    rserve: Rserve.prefault({}).describe(
      'How an Rserve is used. A connection is an R of its own: `concurrency` of them.',
    ),
    slowStart: duration({ min: '0ms', max: '1h' })
      .prefault('0s')
      .describe('How long it takes until a new or returning instance gets its full share.'),
  }),
  { keys: ['release', 'drift'] },
);
