import type { Call } from '../call.ts';
import { fieldOf } from '../http/fields.ts';
import { malformed } from './envelope.ts';
import type { Speech } from './speech.ts';

/** Units of `grpc-timeout`, in milliseconds. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** What `grpc-timeout` says, in milliseconds: at most eight digits and a unit; undefined for what is none. */
export function timeoutMsOf(text: string): number | undefined {
  const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * (UNITS[unit] ?? 0);
}

/** What `Connect-Timeout-Ms` says: at most ten digits; undefined for what is none. */
export function connectTimeoutMsOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

/** What a call's caller leaves it, in milliseconds; Infinity where it does not say. Throws BAD_REQUEST for what is no time. */
export function timeoutOf({ fields }: Call, { protocol }: Speech): number {
  const [name, read] = protocol === 'connect' ? CONNECT_TIMEOUT : GRPC_TIMEOUT;
  const said = fieldOf(fields, name);
  if (said === undefined) return Infinity;
  const timeoutMs = read(said.trim());
  if (timeoutMs === undefined) throw malformed(`The field ${name} is malformed.`);
  return timeoutMs;
}

const CONNECT_TIMEOUT = ['connect-timeout-ms', connectTimeoutMsOf] as const;
const GRPC_TIMEOUT = ['grpc-timeout', timeoutMsOf] as const;
