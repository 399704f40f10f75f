import type { GatewayEvent } from '../events.ts';
import { printable } from '../printable.ts';
import { isRecord, textOf } from '../unknown-value.ts';

type Notice = Extract<GatewayEvent, { kind: 'notice' }>;
type Level = Notice['level'];

/** One line that an R process has written, as the gateway's log tells it. */
export interface RLine {
  readonly level: Level;
  readonly text: string;
  readonly about: Notice['about'];
  /** R listens, and this is its port. */
  readonly listening: { readonly port: number } | undefined;
  /** R has ended by itself, with this status; above 128 it is a signal's number and 128. */
  readonly ended: { readonly status: number } | undefined;
}

const TEXT_CHARS_MAX = 2_000;
const FIELD_CHARS_MAX = 500;
const FIELDS_MAX = 16;
const LEVELS: ReadonlySet<string> = new Set<Level>(['debug', 'info', 'warn', 'error']);
/** What the gateway's own line tells by itself. */
const OWN_FIELDS: ReadonlySet<string> = new Set(['time', 'level', 'event', 'service', 'message']);

/** Understands a line: a JSON object as `serve.sh` writes them, or any text. */
export function readRLine(line: string, otherwise: Level): RLine {
  const fields = parseObject(line);
  if (fields === undefined) {
    return {
      level: otherwise,
      text: printable(line, TEXT_CHARS_MAX),
      about: {},
      listening: undefined,
      ended: undefined,
    };
  }
  const [event, message, level] = [textOf(fields['event']), textOf(fields['message']), textOf(fields['level'])];
  const { port, status } = fields;
  return {
    level: isLevel(level) ? level : otherwise,
    text: printable(message || event || line, TEXT_CHARS_MAX),
    about: { ...(event === '' ? {} : { rEvent: printable(event, FIELD_CHARS_MAX) }), ...otherFields(fields) },
    listening: event === 'listening' && isPort(port) ? { port } : undefined,
    ended: event === 'r-ended' && typeof status === 'number' ? { status } : undefined,
  };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined; // Then it is a text that begins with a brace.
  }
}

function otherFields(fields: Record<string, unknown>): Record<string, string | number | boolean | null> {
  const others: Record<string, string | number | boolean | null> = {};
  for (const [key, value] of Object.entries(fields).slice(0, FIELDS_MAX)) {
    if (OWN_FIELDS.has(key)) continue;
    if (typeof value === 'string') others[printable(key, 64)] = printable(value, FIELD_CHARS_MAX);
    else if (typeof value === 'number' || typeof value === 'boolean' || value === null)
      others[printable(key, 64)] = value;
  }
  return others;
}

function isLevel(level: string): level is Level {
  return LEVELS.has(level);
}

function isPort(port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535;
}
