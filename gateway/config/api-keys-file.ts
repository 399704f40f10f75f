import { parseDocument, stringify, YAMLSeq } from 'yaml';
import { z } from 'zod';
import type { ApiKey } from '../domain/admission/api-key.ts';
import { hasError, inOrder, type Complaint, type Problem } from './problem.ts';
import { flaw, text } from './schema/scalars.ts';
import { validate } from './validate.ts';
import { readYaml } from './yaml-file.ts';

/** Keys that one file may hold. */
const KEYS_MAX = 10_000;

const DATE = /^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:\d{2}))?$/;

const Expires = z
  .string()
  .transform((written, { issues }) => {
    const ms = DATE.test(written) ? Date.parse(written) : NaN;
    if (Number.isNaN(ms))
      issues.push(flaw(written, 'must be a date as RFC 3339 has it: 2027-01-31, or 2027-01-31T12:00:00Z'));
    return ms;
  })
  .optional();

const Entry = z.strictObject({
  id: text(),
  sha256: z.string().regex(/^[0-9a-fA-F]{64}$/, 'must be a SHA-256 digest: 64 hexadecimal digits'),
  subject: text().max(256),
  scopes: z.array(text()).default([]),
  roles: z.array(text()).default([]),
  expires: Expires,
});

const Keys = z
  .array(Entry)
  .max(KEYS_MAX)
  .check(({ value, issues }) => {
    const known = new Set<string>();
    for (const [at, { id }] of value.entries()) {
      if (known.has(id)) issues.push({ ...flaw(id, 'this id is listed already'), path: [at, 'id'] });
      known.add(id);
    }
  })
  .transform(entries =>
    entries.map(({ sha256, expires, ...rest }): ApiKey => ({
      ...rest,
      sha256: sha256.toLowerCase(),
      expiresMs: expires ?? Infinity,
    })),
  );

/** The keys of a file, or why they cannot be read. */
export interface ParsedApiKeys {
  /** Undefined when any problem is an error. */
  readonly keys: readonly ApiKey[] | undefined;
  readonly problems: readonly Problem[];
}

/** Understands a file of API keys: `[{ id, sha256, subject, scopes, roles, expires }]`. An empty file has none. */
export function parseApiKeys(content: string, file: string): ParsedApiKeys {
  if (content.trim() === '') return { keys: [], problems: [] };
  const yaml = readYaml(content, file);
  const problems = [...yaml.problems];
  const complain = (complaint: Complaint) => problems.push(yaml.locate(complaint));
  const keys = yaml.value === undefined ? undefined : validate(Keys, yaml.value ?? [], { path: [], complain });
  return { keys: hasError(problems) ? undefined : keys, problems: inOrder(problems) };
}

/** A key as it is written. */
export interface WrittenApiKey {
  readonly id: string;
  readonly sha256: string;
  readonly subject: string;
  readonly scopes?: readonly string[];
  readonly roles?: readonly string[];
  readonly expires?: string;
}

/** The file with one key more at its end; all else, comments included, as it was. */
export function withApiKey(content: string, key: WrittenApiKey): string {
  const document = parseDocument(content);
  if (!(document.contents instanceof YAMLSeq) || document.contents.items.length === 0) {
    return `${content.replace(/^\s*\[\s*\]\s*$/m, '')}${stringify([key])}`;
  }
  document.add(document.createNode(key));
  return document.toString();
}

/** The file without the key of this id. */
export function withoutApiKey(content: string, id: string): string {
  const document = parseDocument(content);
  const { contents } = document;
  if (!(contents instanceof YAMLSeq)) return content;
  const at = contents.items.findIndex(item => idOf(item) === id);
  if (at >= 0) contents.delete(at);
  return contents.items.length === 0 ? '[]\n' : document.toString();
}

function idOf(item: unknown): unknown {
  return typeof item === 'object' && item !== null && 'get' in item && typeof item.get === 'function'
    ? (item.get as (key: string) => unknown).call(item, 'id')
    : undefined;
}
