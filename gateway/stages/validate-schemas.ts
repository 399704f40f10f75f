import { backOffMs } from '../domain/back-off.ts';
import type { Clock } from '../domain/clock.ts';
import { GatewayError } from '../domain/errors.ts';
import type { Observe } from '../domain/events.ts';
import type { Route } from '../domain/route.ts';
import { bodyTextOf } from '../domain/sharing/batch/answer-form.ts';
import { PREDICT_TARGET, predictMessage } from '../domain/sharing/batch/proof.ts';
import type { InputRequest } from '../domain/validation/arguments.ts';
import type { InputSchema } from '../domain/validation/input.ts';
import type { Column } from '../domain/validation/prototype.ts';
import type { CompileJsonSchema } from '../domain/validation/json-walk.ts';
import {
  readPublication,
  wordsOf,
  type Knowledge,
  type Publication,
  type PublishedAs,
  type PublishedSchema,
  type PublishedSchemas,
} from '../domain/validation/published.ts';
import type { Answer } from '../domain/upstream.ts';
import { hasInstance, type OwnRequests, type Said } from './batch-proof.ts';

interface SchemaPorts {
  readonly schemas: PublishedSchemas;
  readonly own: OwnRequests;
  readonly compile: CompileJsonSchema;
  readonly clock: Clock;
  readonly observe: Observe;
  /** Those of the current generation. */
  readonly routes: () => readonly Route[];
}

const TARGETS: Readonly<Record<PublishedAs, string>> = { prototype: '/prototype', openapi: '/openapi.json' };

/** A call that comes before its service has said what it takes waits so long for that, and is then passed on. */
const WAIT_MS_MAX = 2_000;
/** While a service has several versions chance decides which one answers: so often all are asked. */
const ROUNDS_MAX = 12;
const BACK_OFF = { baseMs: 1_000, maxMs: 60_000 };
const LOOK_EVERY_MS = 1_000;
const NO_BODY = Buffer.alloc(0);
const NOTHING = () => undefined;

/** Asks services what they take: when instances appear, of each version, and again when it changes. */
export class SchemaWatch {
  readonly #ports: SchemaPorts;
  #cancel: () => void;

  constructor(ports: SchemaPorts) {
    this.#ports = ports;
    this.#cancel = ports.clock.after(0, this.#look);
  }

  /** What is known of what a service publishes for such a request; undefined: it does not concern it. */
  readonly publishedFor = (route: Route, { method, path }: InputRequest): PublishedSchema | undefined => {
    const as = publishedAs(route);
    if (as === undefined) return undefined;
    if (as === 'openapi') return this.#publishedAt(route, TARGETS.openapi);
    if (method !== 'POST' || !path.endsWith(PREDICT_TARGET)) return undefined;
    return this.#publishedAt(route, `${path.slice(0, -PREDICT_TARGET.length)}${TARGETS.prototype}`);
  };

  /** Has the service asked, unless that was in vain a moment ago; resolves when that is over, or enough was waited. */
  readonly ensure = async (route: Route, published: PublishedSchema): Promise<void> => {
    const fetching = this.#fetch(route, published);
    if (fetching === undefined) return;
    let cancel: () => void = NOTHING;
    const enough = new Promise<void>(resolve => {
      cancel = this.#ports.clock.after(WAIT_MS_MAX, resolve);
    });
    await Promise.race([fetching, enough]);
    cancel();
  };

  /** The columns that a service publishes for such a path; undefined where it publishes none. May have to ask. */
  readonly columnsFor = (
    route: Route,
    path: string,
  ): Promise<readonly Column[] | undefined> | readonly Column[] | undefined => {
    if (!path.endsWith(PREDICT_TARGET)) return undefined;
    const published = this.#publishedAt(route, `${path.slice(0, -PREDICT_TARGET.length)}${TARGETS.prototype}`);
    const known = published.of(route.service.versions);
    if (!known.isOpen) return columnsOf(known);
    return this.ensure(route, published).then(() => columnsOf(published.of(route.service.versions)));
  };

  /** What a request of a route is held against, as far as that is known. */
  schemasFor(route: Route, request: InputRequest): readonly InputSchema[] {
    const from = route.policy.validate?.from;
    if (typeof from === 'object') return from.schemas;
    return this.publishedFor(route, request)?.of(route.service.versions).schemas ?? [];
  }

  /** How a route's calls are validated, as operators see it; null: they are not. */
  view(route: Route): unknown {
    const as = publishedAs(route);
    const policy = route.policy.validate;
    if (policy === undefined) return null;
    if (as === undefined) return { from: typeof policy.from === 'object' ? policy.from.file : policy.from };
    const published = this.#publishedAt(route, TARGETS[as]);
    const versions = route.service.versions.split(',').map(version => {
      const publication = published.publicationOf(version);
      if (publication === undefined) {
        const { problem } = published;
        return { version, state: problem === undefined ? 'not asked yet' : 'cannot be asked', of: problem ?? null };
      }
      const state = publication.kind === 'schema' ? 'checked' : 'passed through';
      return { version, state, of: wordsOf(publication) };
    });
    return { from: as, target: TARGETS[as], versions };
  }

  close(): void {
    this.#cancel();
    this.#ports.own.close();
  }

  readonly #look = (): void => {
    const { clock, routes } = this.#ports;
    this.#cancel = clock.after(LOOK_EVERY_MS, this.#look);
    for (const route of routes()) {
      const as = publishedAs(route);
      if (as !== undefined) void this.#fetch(route, this.#publishedAt(route, TARGETS[as]));
      if (as !== 'prototype' && route.policy.csv) void this.#fetch(route, this.#publishedAt(route, TARGETS.prototype));
    }
  };

  #publishedAt(route: Route, target: string): PublishedSchema {
    return this.#ports.schemas.of(route.service.name, target);
  }

  /** Undefined: there is nothing to ask, or it was in vain a moment ago, or there is no instance. */
  #fetch(route: Route, published: PublishedSchema): Promise<void> | undefined {
    const { clock, own } = this.#ports;
    if (published.fetching !== undefined) return published.fetching;
    const nowMs = clock.nowMs();
    const isDue = published.isDue(route.service.versions, nowMs) && nowMs >= published.notBeforeMs;
    if (!isDue || own.isClosed || !hasInstance(route.service)) return undefined;
    published.fetching = this.#fetchAll(route, published).finally(() => (published.fetching = undefined));
    return published.fetching;
  }

  async #fetchAll(route: Route, published: PublishedSchema): Promise<void> {
    const { clock } = this.#ports;
    const { versions } = route.service;
    try {
      for (let round = 0; round < ROUNDS_MAX && published.isDue(versions, clock.nowMs()); round++) {
        await this.#fetchOnce(route, published);
      }
      published.failures = 0;
      published.problem = undefined;
    } catch (error) {
      published.failures += 1; // no permit, or no answer: it is tried again
      this.#failed(route, published, error);
    }
    published.notBeforeMs = clock.nowMs() + backOffMs(published.failures + 1, BACK_OFF);
  }

  /** Of the first time the log tells. */
  #failed({ id, service }: Route, published: PublishedSchema, error: unknown): void {
    published.problem = error instanceof Error ? error.message : 'unknown';
    if (published.failures !== 1) return;
    const text = 'a service cannot be asked what it takes: what it published last counts, or nothing';
    const about = { route: id, service: service.name, target: published.target, problem: published.problem };
    this.#ports.observe({ kind: 'notice', level: 'warn', text, about });
  }

  async #fetchOnce(route: Route, published: PublishedSchema): Promise<void> {
    const { own, compile, clock, observe } = this.#ports;
    const { service, id } = route;
    const as = published.target.endsWith(TARGETS.openapi) ? 'openapi' : 'prototype';
    const { fields } = predictMessage(service.policy.sharedSecret);
    const target = published.target;
    const said: Said = await own.put(route, {
      method: 'GET',
      target,
      host: undefined,
      fields: fields.slice(2),
      body: NO_BODY,
    });
    const publication = publicationOf(said.answer, target, text => readPublication(as, text, compile));
    if (!published.keep(said.version, publication, clock.nowMs())) return;
    const isChecked = publication.kind === 'schema';
    const isValidated = publishedAs(route) === as;
    const text = isValidated ? VALIDATED[publication.kind] : TYPED[publication.kind];
    const about = { route: id, service: service.name, version: said.version, target, of: wordsOf(publication) };
    observe({ kind: 'notice', level: isChecked || !isValidated ? 'info' : 'warn', text, about });
  }
}

const VALIDATED: Readonly<Record<Publication['kind'], string>> = {
  schema: 'input is held against what the service publishes',
  none: 'the service publishes nothing to hold input against: calls are passed through',
};

const TYPED: Readonly<Record<Publication['kind'], string>> = {
  schema: 'the service publishes its columns',
  none: 'the service publishes no columns',
};

/** Of the version that was asked first. */
function columnsOf({ schemas }: Knowledge): readonly Column[] | undefined {
  const [schema] = schemas;
  return schema?.kind === 'rows' ? schema.columns : undefined;
}

function publishedAs({ policy }: Route): PublishedAs | undefined {
  const from = policy.validate?.from;
  return typeof from === 'string' ? from : undefined;
}

/** What an answer publishes. Throws where it says nothing of that: R was not able to answer. */
function publicationOf(answer: Answer, target: string, read: (text: string) => Publication): Publication {
  const { status } = answer;
  if (status >= 500) throw new GatewayError('UPSTREAM_FAULT', `${target} was answered with ${status}`);
  if (status !== 200) return { kind: 'none', reason: `${target} is answered with ${status}` };
  const text = bodyTextOf(answer);
  if (text === undefined) return { kind: 'none', reason: `the answer to ${target} is larger than answer.bufferMax` };
  return read(Buffer.from(text, 'latin1').toString('utf8'));
}
