import { nearestOf } from './nearest.ts';
import { propertyOf } from './placeholders.ts';
import type { Complain, Complaint, KeyPath } from './problem.ts';
import { entriesUnder, isMap, textsOf } from './spring-keys.ts';

/** A document of a file, and where it stands in it: paths in a file of several begin with its number. */
export interface SourceDocument {
  readonly root: Readonly<Record<string, unknown>>;
  readonly at: KeyPath;
}

/**
 * The documents that are in force where these profiles are chosen: those for no profile, and those whose expression
 * holds. The others are reported. Where none is chosen the profile is Spring's `default`.
 */
export function documentsInForce(
  documents: readonly SourceDocument[],
  profiles: readonly string[],
  complain: Complain,
): SourceDocument[] {
  const active = new Set(profiles.length === 0 ? ['default'] : profiles);
  const known = new Set<string>();
  const chosen = documents.filter(document => {
    const condition = conditionOf(document);
    if (condition === undefined) return true;
    for (const name of condition.profiles.flatMap(namesIn)) known.add(name);
    if (!condition.isOfPlatform && condition.profiles.some(expression => holds(expression, active))) return true;
    complain(leftOut(condition, documents));
    return false;
  });
  for (const profile of profiles.filter(name => !known.has(name))) complain(unknownProfile(profile, known));
  return chosen;
}

/** What is said of a profile that no document is for. */
export function unknownProfile(profile: string, known: Iterable<string>): Complaint {
  const names = [...known];
  const nearest = nearestOf(profile, names);
  const list = names.length === 0 ? undefined : `the file has documents for ${names.join(', ')}`;
  const hint = nearest === undefined ? list : `did you mean ${nearest}?`;
  return { path: [], severity: 'warning', message: `no document is for the profile ${profile}`, hint };
}

/** The profiles that a document is for. */
interface Condition {
  readonly path: KeyPath;
  /** Expressions, one of which must hold. */
  readonly profiles: readonly string[];
  /** It is for one cloud platform only, which is not looked at. */
  readonly isOfPlatform: boolean;
}

/** Undefined: the document is for every profile. */
function conditionOf({ root, at }: SourceDocument): Condition | undefined {
  const activate = entriesUnder(root, ['spring', 'config', 'activate'], at);
  // The way of before Spring Boot 2.4; where it is a map, `active` and `include` stand in it.
  const old = entriesUnder(root, ['spring'], at).filter(({ key, value }) => key === 'profiles' && !isMap(value));
  const platform = activate.find(({ key, value }) => key === 'on-cloud-platform' && value !== 'none');
  const place = [...activate.filter(({ key }) => key === 'on-profile'), ...old].find(({ value }) => value !== null);
  const path = place?.path ?? platform?.path;
  if (path === undefined) return undefined;
  return { path, profiles: textsOf(place?.value), isOfPlatform: platform !== undefined };
}

function leftOut({ path, profiles, isOfPlatform }: Condition, documents: readonly SourceDocument[]): Complaint {
  const base = { path, severity: 'warning', isAboutKey: true } as const;
  if (isOfPlatform) {
    const hint = 'nothing here asks on what it runs: take the line out where the document is meant';
    return { ...base, message: 'the document is for a cloud platform, and left out', hint };
  }
  const roots = documents.map(({ root }) => root);
  const isNamed = propertyOf('spring.profiles.active', { variables: {}, roots }) !== undefined;
  const [name = 'NAME'] = profiles.flatMap(namesIn);
  return {
    ...base,
    message: `the document is for the profile ${profiles.join(', ')}, and left out`,
    hint: `\`--profile ${name}\` takes it in${isNamed ? '; what `spring.profiles.active` says in the file is not followed' : ''}`,
  };
}

const TOKEN = /[!&|()]|[^\s!&|()]+/g;

function namesIn(expression: string): string[] {
  return (expression.match(TOKEN) ?? []).filter(token => !'!&|()'.includes(token));
}

/** Spring's expressions: names with `!`, `&`, `|` and brackets. What cannot be read does not hold. */
function holds(expression: string, active: ReadonlySet<string>): boolean {
  const reader = { tokens: expression.match(TOKEN) ?? [], at: 0, active };
  return anyOf(reader) && reader.at === reader.tokens.length;
}

interface Reader {
  readonly tokens: readonly string[];
  readonly active: ReadonlySet<string>;
  at: number;
}

function taken(reader: Reader, token: string): boolean {
  if (reader.tokens[reader.at] !== token) return false;
  reader.at += 1;
  return true;
}

function anyOf(reader: Reader): boolean {
  let result = allOf(reader);
  while (taken(reader, '|')) result = allOf(reader) || result;
  return result;
}

function allOf(reader: Reader): boolean {
  let result = one(reader);
  while (taken(reader, '&')) result = one(reader) && result;
  return result;
}

function one(reader: Reader): boolean {
  if (taken(reader, '!')) return !one(reader);
  if (taken(reader, '(')) {
    const result = anyOf(reader);
    return taken(reader, ')') && result;
  }
  const name = reader.tokens[reader.at] ?? '';
  reader.at += 1;
  return reader.active.has(name);
}
