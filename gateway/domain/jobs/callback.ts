import { listOf, type RawFields } from '../http/fields.ts';

/** Where jobs may be reported: `jobs.callbacks`. */
export interface CallbackRule {
  /** What a URL must begin with. */
  readonly to: string;
  /** What messages are signed with. */
  readonly secret: { reveal(): string };
}

/** A message of Standard Webhooks. */
export interface WebhookMessage {
  readonly url: string;
  /** The same in each attempt. */
  readonly id: string;
  readonly body: string;
  readonly secret: string;
  /** Seconds since 1970, of this attempt. */
  readonly seconds: number;
  readonly signal: AbortSignal;
}

const LENGTH_MAX = 2_048;

/**
 * Whom a caller would have told when its job is over: `Prefer: callback; url="…"`, as OData 4.01 §8.2.8.2 writes it.
 * Undefined: none.
 */
export function callbackIn(fields: RawFields): string | undefined {
  for (const preference of listOf(fields, 'prefer')) {
    const url = /^callback\s*;\s*url\s*=\s*(?:"([^"]*)"|([^\s;]+))\s*$/i.exec(preference);
    if (url !== null) return url[1] ?? url[2];
  }
  return undefined;
}

/**
 * The rule that lets a caller's URL be called; undefined: none does. It must have the rule's scheme, host and port, and a
 * path that is the rule's or lies below it, and neither credentials nor a fragment.
 */
export function ruleFor(url: string, rules: readonly CallbackRule[]): CallbackRule | undefined {
  if (url.length > LENGTH_MAX || !URL.canParse(url)) return undefined;
  const { origin, pathname, username, password, hash } = new URL(url);
  if (username !== '' || password !== '' || hash !== '' || url.includes('\\')) return undefined;
  return rules.find(({ to }) => {
    const allowed = new URL(to);
    if (allowed.origin !== origin) return false;
    const front = allowed.pathname.replace(/\/$/, '');
    return pathname === front || pathname.startsWith(`${front}/`);
  });
}

/** How long after an attempt that failed the next one comes; behind the last there is none. As Standard Webhooks proposes. */
export const CALLBACK_DELAYS_MS: readonly number[] = [5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000];

/** The receiver does not want to be called again. */
const GONE = 410;

/** What comes of an attempt that was answered so; undefined: not at all. */
export function callbackOutcome(status: number | undefined): 'delivered' | 'refused' | 'again' {
  if (status === undefined) return 'again';
  if (status >= 200 && status <= 299) return 'delivered';
  return status === GONE ? 'refused' : 'again';
}

/** What a message is signed as: Standard Webhooks, "Signature scheme". */
export function toBeSigned({
  id,
  seconds,
  body,
}: {
  readonly id: string;
  readonly seconds: number;
  readonly body: string;
}) {
  return `${id}.${seconds}.${body}`;
}
