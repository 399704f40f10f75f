import { RE2JS } from 're2js';
import { toRe2 } from '../domain/routing/java-regex.ts';
import type { CompileRegex, Regex } from '../domain/routing/regex.ts';

/** Compiles operators' patterns for an engine that takes linear time, whatever a caller sends. */
export const compileRegex: CompileRegex = source => {
  const translated = toRe2(source);
  if ('problem' in translated) return translated;
  try {
    return adapt(RE2JS.compile(translated.pattern));
  } catch (error) {
    return { problem: reasonOf(error), piece: '' };
  }
};

/**
 * The same for patterns of a JSON Schema, which may match anywhere (ECMA-262, as far as RE2 has it). Throws for others.
 *
 * ajv asks for `code`, which it would write into what it generates, and tells patterns apart by their text.
 */
export const linearRegExp: RegExpEngine = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(pattern);
    return { test: (text: string) => compiled.matcher(text).find(), toString: () => `/${pattern}/` };
  },
  { code: 'linearRegExp' },
);

/** As ajv wants it. */
type RegExpEngine = ((pattern: string, flags: string) => { test(text: string): boolean }) & { code: string };

function adapt(compiled: RE2JS): Regex {
  const groupNames = new Map(Object.entries(compiled.namedGroups()));
  const groupCount = compiled.groupCount();
  return {
    groupCount,
    groupNames,
    matches: text => compiled.matches(text),
    groupsOf(text) {
      const matcher = compiled.matcher(text);
      if (!matcher.matches()) return undefined;
      return Array.from({ length: groupCount + 1 }, (_, i) => matcher.group(i) ?? '');
    },
    replaceAll(text, replacement) {
      const matcher = compiled.matcher(text);
      let [result, from] = ['', 0];
      while (matcher.find()) {
        result += text.slice(from, matcher.start());
        for (const piece of replacement) result += typeof piece === 'string' ? piece : (matcher.group(piece) ?? '');
        from = matcher.end();
      }
      return result + text.slice(from);
    },
  };
}

/** The engine's words, without the pattern once more. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const reason = /error parsing regexp: ([^:]+)/.exec(message)?.[1];
  return reason === undefined ? 'is no regular expression' : `is no regular expression: ${reason}`;
}
