import type { Answer } from '../../exchange.ts';

/** Equal for answers with the same fields, but for those that tell the time. */
export function fieldsText({ rawHeaders }: Answer): string {
  const lines = [...comparable(rawHeaders)].map(([name, values]) => `${name}:${values}`);
  return lines.sort().join('\n\n');
}

/** Others tell by them how old the answer is. */
const OF_TIME: ReadonlySet<string> = new Set(['age', 'date', 'expires']);

/** The name of a field that is not the same in both, or that is never shared. */
export function otherField({ rawHeaders }: Answer, { rawHeaders: others }: Answer): string | undefined {
  const [ours, theirs] = [comparable(rawHeaders), comparable(others)];
  for (const [name, values] of ours) if (theirs.get(name) !== values) return name;
  for (const name of theirs.keys()) if (!ours.has(name)) return name;
  return ours.has('set-cookie') ? 'Set-Cookie' : undefined;
}

function comparable(rawHeaders: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (!OF_TIME.has(name)) fields.set(name, `${fields.get(name) ?? ''}\n${rawHeaders[i + 1] ?? ''}`);
  }
  return fields;
}
