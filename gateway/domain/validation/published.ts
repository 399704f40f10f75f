import { BoundedMap } from '../bounded-map.ts';
import type { CompileJsonSchema } from './json-walk.ts';
import type { InputSchema } from './input.ts';
import { readOperations } from './operations.ts';
import { COLUMNS_MAX, readPrototype } from './prototype.ts';
import { createRowCheck } from './records.ts';

/** Where a service says what it takes. */
export type PublishedAs = 'prototype' | 'openapi';

/** What a version of a model publishes of its input, or why that helps no further. */
export type Publication =
  | { readonly kind: 'schema'; readonly schema: InputSchema; readonly of: string }
  | { readonly kind: 'none'; readonly reason: string };

/** Reads what a service has answered with 200. */
export function readPublication(as: PublishedAs, text: string, compile: CompileJsonSchema): Publication {
  if (as === 'prototype') {
    const columns = readPrototype(text);
    if (columns === undefined)
      return { kind: 'none', reason: `what it publishes is no prototype, or has more than ${COLUMNS_MAX} columns` };
    const names = columns.map(({ name }) => name);
    return {
      kind: 'schema',
      schema: { kind: 'rows', check: createRowCheck(columns), columns },
      of: listOf('column', names),
    };
  }
  const operations = readOperations(text, compile);
  if (operations === undefined) return { kind: 'none', reason: 'what it publishes is no OpenAPI document' };
  return { kind: 'schema', schema: { kind: 'operations', operations }, of: `${operations.length} operations` };
}

const NAMES_LISTED = 20;

function listOf(what: string, names: readonly string[]): string {
  const listed = names.slice(0, NAMES_LISTED).join(', ');
  return `${names.length} ${what}${names.length === 1 ? '' : 's'}: ${listed}${names.length > NAMES_LISTED ? ', …' : ''}`;
}

/** For so long holds what a version publishes that has no name, and may be exchanged unseen; then it is asked again. */
const UNNAMED_MS = 30_000;
/** For so long holds that a version publishes nothing. */
const NONE_MS = 10 * 60_000;
/** Versions kept; a service has one, and two while it changes. */
const VERSIONS_MAX = 8;

interface Kept {
  readonly publication: Publication;
  readonly untilMs: number;
}

/** What is known of a service's versions: `open` where some version has not said yet. */
export interface Knowledge {
  readonly isOpen: boolean;
  /** One for each version; none where some version publishes none: what it takes is not known. */
  readonly schemas: readonly InputSchema[];
}

/** What one service publishes at one path, by version. It outlives reloads. */
export class PublishedSchema {
  /** Where it says so. */
  readonly target: string;
  /** Under way; undefined: nothing is being asked. */
  fetching: Promise<void> | undefined = undefined;
  /** Not asked again before. */
  notBeforeMs = 0;
  failures = 0;
  /** Why it could not be asked when it last was; undefined: it could. */
  problem: string | undefined = undefined;
  readonly #kept = new BoundedMap<string, Kept>(VERSIONS_MAX);
  #last: { readonly versions: string; readonly knowledge: Knowledge } | undefined = undefined;

  constructor(target: string) {
    this.target = target;
  }

  /** What these versions (as `Service.versions`) publish. */
  of(versions: string): Knowledge {
    if (this.#last?.versions !== versions) this.#last = { versions, knowledge: this.#knowledgeOf(versions) };
    return this.#last.knowledge;
  }

  /** Whether some of these versions should be asked: it was not, or what it said holds no more. */
  isDue(versions: string, nowMs: number): boolean {
    return versions.split(',').some(version => nowMs >= (this.#kept.get(version)?.untilMs ?? -Infinity));
  }

  /** It is asked again now; until then what it said counts. */
  recheck(): void {
    for (const [version, { publication }] of [...this.#kept])
      this.#kept.set(version, { publication, untilMs: -Infinity });
    this.notBeforeMs = 0;
    this.failures = 0;
  }

  /** True: it is news. */
  keep(version: string, publication: Publication, nowMs: number): boolean {
    const before = this.#kept.get(version)?.publication;
    const forNowMs = publication.kind === 'none' ? NONE_MS : Infinity;
    this.#kept.set(version, { publication, untilMs: nowMs + (version === '' ? UNNAMED_MS : forNowMs) });
    this.#last = undefined;
    return before === undefined || wordsOf(before) !== wordsOf(publication);
  }

  /** What a version publishes; undefined: it has not said. */
  publicationOf(version: string): Publication | undefined {
    return this.#kept.get(version)?.publication;
  }

  get publishesNothing(): boolean {
    return [...this.#kept.values()].every(({ publication }) => publication.kind === 'none');
  }

  #knowledgeOf(versions: string): Knowledge {
    const kept = versions.split(',').map(version => this.#kept.get(version)?.publication);
    const schemas = kept.flatMap(each => (each?.kind === 'schema' ? [each.schema] : []));
    const isOpen = kept.some(each => each === undefined);
    return { isOpen, schemas: schemas.length === kept.length ? schemas : [] };
  }
}

/** A publication in a line. */
export function wordsOf(publication: Publication): string {
  return publication.kind === 'schema' ? publication.of : publication.reason;
}

/** Paths may be anything that callers write. */
const SUBJECTS_MAX = 64;

/** What services publish, by service and path; of those that publish nothing only the last asked for. */
export class PublishedSchemas {
  readonly #known = new Map<string, PublishedSchema>();

  of(service: string, target: string): PublishedSchema {
    const key = `${service}\n${target}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = new PublishedSchema(target);
    if (this.#known.size >= SUBJECTS_MAX) this.#makeRoom();
    this.#known.set(key, made);
    return made;
  }

  /** Has all asked again that a service publishes, and says at how many paths. */
  recheck(service: string): number {
    const published = [...this.#known].flatMap(([key, each]) => (key.startsWith(`${service}\n`) ? [each] : []));
    for (const each of published) each.recheck();
    return published.length;
  }

  #makeRoom(): void {
    const idle = [...this.#known].find(
      ([, { publishesNothing, fetching }]) => publishesNothing && fetching === undefined,
    );
    const [first] = this.#known.keys();
    this.#known.delete(idle?.[0] ?? first ?? '');
  }
}
