import { z } from 'zod';
import { DURATION_PATTERN, durationMs, PERCENT_PATTERN, percentShare, SIZE_PATTERN, sizeBytes } from '../units.ts';

interface Bounds {
  readonly min?: string;
  readonly max?: string;
}

interface DurationBounds extends Bounds {
  /** What else may stand there, in the words of a hint. */
  readonly otherwise?: string;
}

/** A duration as text, in milliseconds after parsing. Bounded, because a timer cannot run for longer than 24 days. */
export function duration({ min = '1ms', max = '1d', otherwise = '' }: DurationBounds = {}) {
  return z
    .string()
    .meta({ pattern: DURATION_PATTERN, examples: ['250ms', '5s', '2m'] })
    .transform((text, { issues }) => {
      const ms = durationMs(text);
      if (ms === undefined) issues.push(flaw(text, 'must be a duration', `write 250ms, 5s, 2m, 1h or 30d${otherwise}`));
      else if (ms < (durationMs(min) ?? 0)) issues.push(flaw(text, `must be at least ${min}`));
      else if (ms > (durationMs(max) ?? Infinity)) issues.push(flaw(text, `must be at most ${max}`));
      return ms ?? 0;
    });
}

/** A size as text, in bytes after parsing. */
export function size({ min = '1B', max = '1GiB' }: Bounds = {}) {
  return z
    .string()
    .meta({ pattern: SIZE_PATTERN, examples: ['64KiB', '1MiB'] })
    .transform((text, { issues }) => {
      const bytes = sizeBytes(text);
      if (bytes === undefined) issues.push(flaw(text, 'must be a size', 'write 512B, 64KiB, 1MiB or 1GiB'));
      else if (bytes < (sizeBytes(min) ?? 0)) issues.push(flaw(text, `must be at least ${min}`));
      else if (bytes > (sizeBytes(max) ?? Infinity)) issues.push(flaw(text, `must be at most ${max}`));
      return bytes ?? 0;
    });
}

/** A share as text, a number from 0 to 1 after parsing. */
export function percent({ min = '0%', max = '100%' }: Bounds = {}) {
  return z
    .string()
    .meta({ pattern: PERCENT_PATTERN, examples: ['1%', '99.9%'] })
    .transform((text, { issues }) => {
      const share = percentShare(text);
      if (share === undefined) issues.push(flaw(text, 'must be a share', 'write 1% or 99.9%'));
      else if (share < (percentShare(min) ?? 0)) issues.push(flaw(text, `must be at least ${min}`));
      else if (share > (percentShare(max) ?? 1)) issues.push(flaw(text, `must be at most ${max}`));
      return share ?? 0;
    });
}

/** A complaint of a schema's own; later checks still run. Quotes nothing: the value may be a secret. */
export function flaw(input: unknown, message: string, hint?: string): z.core.$ZodRawIssue {
  return { code: 'custom', input, message, params: { hint }, continue: true };
}

/** A whole number within bounds. */
export function whole(min: number, max: number) {
  return z.int().min(min).max(max);
}

/** Text with something in it. */
export function text() {
  return z.string().min(1);
}

/** A TCP port. */
export function port() {
  return whole(1, 65_535);
}

/** A TCP port to listen on; 0 takes any that is free. */
export function listeningPort() {
  return whole(0, 65_535);
}

/** An address of scheme, host and port, without path or credentials: `http://10.0.0.5:8000`. Some tools leave `http://` out. */
export function origin({ mayOmitScheme = false, isOfInstance = false } = {}) {
  return z
    .string()
    .meta({ format: 'uri', examples: ['http://127.0.0.1:8500'] })
    .transform((written, { issues }) => {
      const parsed =
        originOf(written) ??
        (mayOmitScheme ? originOf(`http://${written}`) : undefined) ??
        (isOfInstance ? (rserveOrigin(written) ?? grpcOrigin(written)) : undefined);
      if (parsed === undefined) {
        issues.push(flaw(written, 'must be an address', 'write http://HOST:PORT, without path or credentials'));
      }
      return parsed ?? '';
    });
}

/** Scheme, host and port of a URL that has nothing else; undefined for any other. The port is said even where it is the scheme's own. */
export function originOf(written: string): string | undefined {
  if (!/^https?:\/\//i.test(written) || !URL.canParse(written)) return undefined;
  const url = new URL(written);
  const isBare =
    url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (!isBare || url.hostname === '') return undefined;
  return `${url.protocol}//${url.hostname}:${portOf(url)}`;
}

/** `rserve://HOST:PORT`, or `rserves://HOST:PORT` by TLS; undefined for any other. */
function rserveOrigin(written: string): string | undefined {
  const [, scheme = '', rest = ''] = /^(rserves?):\/\/(.+)$/i.exec(written) ?? [];
  const [, port = RSERVE_PORT] = /:(\d+)\/?$/.exec(rest) ?? [];
  const origin = originOf(`http://${rest}`);
  return origin && `${scheme.toLowerCase()}:${origin.slice('http:'.length).replace(/\d+$/, port)}`;
}

/** `grpc://HOST:PORT`, or `grpcs://HOST:PORT` by TLS; undefined for any other. */
function grpcOrigin(written: string): string | undefined {
  const [, scheme = '', rest = ''] = /^(grpcs?):\/\/(.+:\d+\/?)$/i.exec(written) ?? [];
  const origin = rest === '' ? undefined : originOf(`http://${rest}`);
  return origin && `${scheme.toLowerCase()}:${origin.slice('http:'.length)}`;
}

/** Rserve's own. */
const RSERVE_PORT = '6311';

/** The port a URL leads to, its scheme's own where none is written. */
export function portOf(url: URL): string {
  if (url.port !== '') return url.port;
  return url.protocol === 'https:' || url.protocol === 'wss:' ? '443' : '80';
}
