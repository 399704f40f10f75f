import {
  type RawFields,
  appendField,
  fieldOf,
  fieldsOf,
  isField,
  isHopByHop,
  removeField,
  setField,
} from '../http/fields.ts';
import type { RequestAttributes, Filter, Filtered, Predicate, ReplyDraft, RequestDraft } from '../route.ts';
import type {
  ArgsOf,
  ArgSpecs,
  FilterDefinition,
  PredicateDefinition,
  PluginAnswer,
  PluginAdmittedCall,
  PluginCall,
  PluginFields,
  PluginFieldsDraft,
  PluginReply,
  PluginRequest,
} from './define.ts';
import { PluginFailure, guarded, PluginWait, rubbish, type PluginPorts } from './guard.ts';
import type { Defined } from './plugin-set.ts';
import type { Caller } from '../caller.ts';
import { isHost } from '../http/forwarding.ts';

/** A part of a route that a plug-in brings: as it is written, with its arguments. */
export interface PluginPart {
  /** As the operator wrote it. */
  readonly text: string;
  readonly args: ArgsOf<ArgSpecs>;
  readonly ports: PluginPorts;
}

/** A predicate of a plug-in as one of the route's. It throws a `PluginWait` where it must wait. */
export function pluginPredicate(
  { definition, origin }: Defined<PredicateDefinition>,
  { text, args, ports }: PluginPart,
): Predicate {
  const { name, prepare, captures = [] } = definition;
  const known = new WeakMap<RawFields, Map<string, unknown>>();

  /** A preflight is asked for under two methods. */
  function preparedFor(request: RequestAttributes): unknown {
    if (prepare === undefined) return undefined;
    const ofCall = known.get(request.fields) ?? new Map<string, unknown>();
    if (ofCall.has(request.method)) return ofCall.get(request.method);
    const call = new CallView(request);
    throw new PluginWait({
      ...{ plugin: name, timeoutMs: definition.timeoutMs, ports },
      prepare: signal => prepare({ call, args, signal }),
      keep: prepared => known.set(request.fields, ofCall.set(request.method, prepared)),
    });
  }

  return {
    name,
    text,
    plugin: origin,
    holds(request, variables) {
      const prepared = preparedFor(request);
      const held = guarded(name, ports, () => definition.holds({ call: new CallView(request), args, prepared }));
      if (typeof held === 'boolean') return held;
      if (!areCaptures(held, captures)) throw rubbish(name, '`holds`', held);
      for (const [key, value] of Object.entries(held)) variables.set(key, value);
      return true;
    },
  };
}

function areCaptures(held: unknown, names: readonly string[]): held is Readonly<Record<string, string>> {
  if (typeof held !== 'object' || held === null || held instanceof Promise) return false;
  return Object.entries(held).every(([key, value]) => names.includes(key) && typeof value === 'string');
}

/** A filter of a plug-in as one of the route's. */
export function pluginFilter(
  { definition, origin }: Defined<FilterDefinition>,
  { text, args, ports }: PluginPart,
): Filter {
  const { name, prepare, onRequest, onReply, answer } = definition;
  const known = new WeakMap<Filtered, { readonly prepared: unknown }>();
  const aboutOf = (call: Filtered) => ({
    call: new AdmittedView(call),
    args,
    prepared: known.get(call)?.prepared,
  });
  const run = (what: string, act: () => unknown) => {
    const result = guarded(name, ports, act);
    if (result !== undefined) throw rubbish(name, what, result);
  };
  return {
    name,
    text,
    plugin: origin,
    ...(prepare && {
      prepare(call, next) {
        const view = new AdmittedView(call);
        new PluginWait({
          ...{ plugin: name, timeoutMs: definition.timeoutMs, ports },
          prepare: signal => prepare({ call: view, args, signal }),
          keep: prepared => known.set(call, { prepared }),
        }).within(call, next);
      },
    }),
    ...(onRequest && {
      onRequest: (draft, call) =>
        run('`onRequest`', () => onRequest({ ...aboutOf(call), request: new RequestView(draft) })),
    }),
    ...(onReply && {
      onReply: (draft, call) => run('`onReply`', () => onReply({ ...aboutOf(call), reply: new ReplyView(draft) })),
    }),
    ...(answer && {
      mayPass: true as const,
      onBehalf: call =>
        toAnswer(
          name,
          guarded(name, ports, () => answer(aboutOf(call))),
        ),
    }),
  };
}

type OwnAnswer = ReplyDraft & { readonly body: Buffer; readonly via: null };

function toAnswer(plugin: string, answer: PluginAnswer | undefined): OwnAnswer | undefined {
  if (answer === undefined) return undefined;
  if (typeof answer !== 'object' || !isStatus((answer as PluginAnswer | null)?.status)) {
    throw rubbish(plugin, '`answer`', answer);
  }
  const fields: string[] = [];
  try {
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      demandField(name, value);
      fields.push(name, value);
    }
    return { status: answer.status, fields, body: bodyOf(answer.body, fields), via: null };
  } catch (error) {
    throw new PluginFailure(plugin, '`answer` returned rubbish', error);
  }
}

function bodyOf(body: unknown, fields: string[]): Buffer {
  const say = (type: string) => {
    if (!fields.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type'))
      fields.push('Content-Type', type);
  };
  if (body === undefined) return Buffer.alloc(0);
  if (body instanceof Uint8Array) return Buffer.from(body);
  if (typeof body === 'string') {
    say('text/plain; charset=utf-8');
    return Buffer.from(body);
  }
  const json: unknown = JSON.stringify(body);
  if (typeof json !== 'string') throw new TypeError('a body that JSON cannot say');
  say('application/json');
  return Buffer.from(json);
}

class Fields implements PluginFields {
  readonly #fields: RawFields;

  constructor(fields: RawFields) {
    this.#fields = fields;
  }

  get(name: string): string | undefined {
    return fieldOf(this.#fields, name.toLowerCase());
  }

  all(name: string): readonly string[] {
    return fieldsOf(this.#fields, name.toLowerCase());
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }
}

/** What frames a message is the gateway's to say. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'expect', 'host']);

class FieldsDraft extends Fields implements PluginFieldsDraft {
  readonly #draft: string[];

  constructor(draft: string[]) {
    super(draft);
    this.#draft = draft;
  }

  set(name: string, value: string): void {
    demandField(name, value);
    setField(this.#draft, name, value);
  }

  add(name: string, value: string): void {
    demandField(name, value);
    appendField(this.#draft, name, value);
  }

  remove(name: string): void {
    demandField(name, '');
    removeField(this.#draft, name.toLowerCase());
  }
}

/** Throws for what may not stand in a message, and for what is not a plug-in's to say. */
function demandField(name: unknown, value: unknown): void {
  if (typeof name !== 'string' || typeof value !== 'string' || !isField(name, value)) {
    throw new TypeError(`no header field: ${String(name).slice(0, 100)}`);
  }
  const lowerName = name.toLowerCase();
  if (FRAMING.has(lowerName) || isHopByHop(lowerName)) throw new TypeError(`${name} is the gateway’s to say`);
}

/** A call as predicates see it. */
class CallView implements PluginCall {
  readonly #request: RequestAttributes;

  constructor(request: RequestAttributes) {
    this.#request = request;
  }

  get method(): string {
    return this.#request.method;
  }

  get path(): string {
    return this.#request.path;
  }

  get query(): string {
    return this.#request.query;
  }

  get host(): string {
    return this.#request.host;
  }

  get headers(): PluginFields {
    return new Fields(this.#request.fields);
  }

  get address(): string {
    return this.#request.callerAddress;
  }

  get peerAddress(): string {
    return this.#request.peerAddress;
  }

  get timeMs(): number {
    return this.#request.wallMs;
  }
}

/** A call as filters see it. */
class AdmittedView extends CallView implements PluginAdmittedCall {
  readonly #filtered: Filtered;

  constructor(filtered: Filtered) {
    super(filtered);
    this.#filtered = filtered;
  }

  get id(): string {
    return this.#filtered.id;
  }

  get scheme(): 'http' | 'https' {
    return this.#filtered.scheme;
  }

  get variables(): ReadonlyMap<string, string> {
    return new Map(this.#filtered.variables);
  }

  get caller(): PluginAdmittedCall['caller'] {
    return callerView(this.#filtered.caller);
  }
}

function callerView(caller: Caller | undefined): PluginAdmittedCall['caller'] {
  const { issuer, subject, scopes = [], roles = [] } = caller ?? {};
  return { issuer, subject, scopes: [...scopes], roles: [...roles] };
}

/** What R will be sent, as a plug-in may change it. Throws for rubbish. */
class RequestView implements PluginRequest {
  readonly headers: PluginFieldsDraft;
  readonly #draft: RequestDraft;

  constructor(draft: RequestDraft) {
    this.#draft = draft;
    this.headers = new FieldsDraft(draft.fields);
  }

  get path(): string {
    return this.#draft.path;
  }

  set path(path: unknown) {
    if (typeof path !== 'string' || !/^\/[!-~]*$/.test(path) || /[?#]/.test(path)) throw new TypeError('no path');
    this.#draft.path = path;
  }

  get query(): string {
    return this.#draft.query;
  }

  set query(query: unknown) {
    if (typeof query !== 'string' || !/^[!-~]*$/.test(query) || query.includes('#')) throw new TypeError('no query');
    this.#draft.query = query;
  }

  get host(): string | undefined {
    return this.#draft.host;
  }

  set host(host: unknown) {
    if (host !== undefined && (typeof host !== 'string' || !isHost(host))) throw new TypeError('no host');
    this.#draft.host = host;
  }
}

/** What the caller will be sent, as a plug-in may change it. Throws for rubbish. */
class ReplyView implements PluginReply {
  readonly headers: PluginFieldsDraft;
  readonly #draft: ReplyDraft;

  constructor(draft: ReplyDraft) {
    this.#draft = draft;
    this.headers = new FieldsDraft(draft.fields);
  }

  get status(): number {
    return this.#draft.status;
  }

  set status(status: unknown) {
    if (!isStatus(status)) throw new TypeError(`no status: ${String(status)}`);
    this.#draft.status = status;
  }
}

/** True for what an answer may have. */
function isStatus(status: unknown): status is number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599;
}
