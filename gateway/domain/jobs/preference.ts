import { listOf, type RawFields } from '../http/fields.ts';

/** True where a caller would rather be told where the answer will be than wait for it (RFC 7240 §4.1). */
export function prefersAsync(fields: RawFields): boolean {
  return listOf(fields, 'prefer').some(preference => /^respond-async\s*(?:;|$)/i.test(preference));
}

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
