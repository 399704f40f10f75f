import type { GatewayEvent, RequestEvent } from '../events.ts';

/** How much the log tells: a level and all before it. */
export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;

/** How much a line matters. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What every line begins with. */
export interface LogHead {
  /** ISO 8601. */
  readonly time: string;
  readonly level: LogLevel;
}

/** What one line of the log says; members keep their order. */
export interface LogLine extends LogHead {
  readonly event: string;
  readonly [member: string]: unknown;
}

/** True for the name of a level. */
export function isLogLevel(name: unknown): name is LogLevel {
  return LOG_LEVELS.some(level => level === name);
}

/** How much an event matters. */
export function levelOf(event: GatewayEvent): LogLevel {
  if (event.kind === 'notice') return event.level;
  if (event.kind === 'instance-health') return event.isWell ? 'info' : 'warn';
  if (event.kind === 'batching') return event.isOn ? 'info' : 'warn';
  if (event.kind === 'batch-recheck') return event.result === 'contradicted' ? 'warn' : 'debug';
  return LEVELS[event.kind];
}

const LEVELS = {
  request: 'info',
  attempt: 'debug',
  batch: 'debug',
  'sent-ahead': 'debug',
  'limit-exceeded': 'debug',
  retry: 'info',
  ejected: 'warn',
  'ejection-withheld': 'warn',
  probation: 'info',
  readmitted: 'info',
  'instance-joined': 'info',
  'instance-left': 'info',
  'registration-malformed': 'warn',
  'source-lost': 'warn',
  'source-back': 'info',
  'roster-doubted': 'warn',
  'config-loaded': 'info',
  'config-refused': 'error',
  'restart-needed': 'warn',
  job: 'info',
  'internal-error': 'error',
  'plugin-failed': 'error',
  'plugin-blocked': 'warn',
  process: 'info',
} as const satisfies Record<
  Exclude<GatewayEvent['kind'], 'notice' | 'instance-health' | 'batching' | 'batch-recheck'>,
  LogLevel
>;

/**
 * The line of an event: its name, then its members as they are.
 *
 * Nothing here may be a secret: events carry names, numbers and our own words, never header fields, queries or bodies.
 */
export function toLogLine(event: GatewayEvent, { time, level }: LogHead): LogLine {
  if (event.kind === 'request') return toAccessLine(event, time);
  if (event.kind === 'internal-error') {
    const { where, error, requestId } = event;
    return { time, level, event: 'internal-error', where, requestId, error: toMessage(error), stack: toStack(error) };
  }
  if (event.kind === 'plugin-failed') {
    const { plugin, error, requestId } = event;
    return { time, level, event: 'plugin-failed', plugin, requestId, error: toMessage(error), stack: toStack(error) };
  }
  const { kind, ...members } = event;
  return { time, level, event: kind, ...members };
}

const PATH_LENGTH_MAX = 2048;

function toAccessLine(request: RequestEvent, time: string): LogLine {
  const { path, protocol } = request;
  const line = {
    time,
    level: 'info' as const,
    event: 'request',
    id: request.id,
    caller: request.caller,
    method: request.method,
    path: path.length > PATH_LENGTH_MAX ? `${path.slice(0, PATH_LENGTH_MAX)}…` : path,
    route: request.route,
    service: request.service,
    instance: request.instance,
    version: request.version,
    status: request.status,
    code: request.code,
    attempts: request.attempts,
    queueMs: rounded(request.queueMs),
    connectMs: rounded(request.connectMs),
    firstByteMs: rounded(request.firstByteMs),
    totalMs: rounded(request.totalMs),
    bytesIn: request.bytesIn,
    bytesOut: request.bytesOut,
  };
  return protocol === undefined ? line : { ...line, protocol };
}

// A clock's fractions are fifteen digits of noise; microseconds are what it knows.
function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 1000) / 1000;
}

function toMessage(error: unknown): string {
  if (error instanceof Error) return error.message;
  return typeof error === 'string' ? error : Object.prototype.toString.call(error);
}

const CAUSES_MAX = 5;

function toStack(error: unknown): string | null {
  const stacks: string[] = [];
  let current = error;
  while (current instanceof Error && stacks.length < CAUSES_MAX) {
    stacks.push(current.stack ?? `${current.name}: ${current.message}`);
    current = current.cause;
  }
  return stacks.length === 0 ? null : stacks.join('\ncaused by ');
}

/**
 * Writes moments (milliseconds since 1970) as ISO 8601, as `Date` does.
 *
 * Every line of the log has one, and `Date` takes more time for it than `JSON.stringify` for the rest of the line; so
 * what all moments of a second have in common is kept.
 */
export function createTimestamps(): (wallMs: number) => string {
  let second = NaN;
  let beginning = '';

  return wallMs => {
    const now = Math.floor(wallMs / 1000);
    if (now !== second) {
      second = now;
      beginning = new Date(now * 1000).toISOString().slice(0, -'000Z'.length);
    }
    return `${beginning}${String(Math.floor(wallMs - now * 1000)).padStart(3, '0')}Z`;
  };
}
