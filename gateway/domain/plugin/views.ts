import type { Caller } from '../caller.ts';
import {
  appendField,
  fieldOf,
  fieldsOf,
  isField,
  isHopByHop,
  removeField,
  setField,
  type RawFields,
} from '../http/fields.ts';
import { isHost } from '../http/forwarding.ts';
import type { Asked, Filtered, ReplyDraft, RequestDraft } from '../route.ts';
import type {
  PluginAdmittedCall,
  PluginCall,
  PluginFields,
  PluginFieldsDraft,
  PluginReply,
  PluginRequest,
} from './define.ts';

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
export function demandField(name: unknown, value: unknown): void {
  if (typeof name !== 'string' || typeof value !== 'string' || !isField(name, value)) {
    throw new TypeError(`no header field: ${String(name).slice(0, 100)}`);
  }
  const lowerName = name.toLowerCase();
  if (FRAMING.has(lowerName) || isHopByHop(lowerName)) throw new TypeError(`${name} is the gateway’s to say`);
}

/** A call as predicates see it. */
export class CallView implements PluginCall {
  readonly #asked: Asked;

  constructor(asked: Asked) {
    this.#asked = asked;
  }

  get method(): string {
    return this.#asked.method;
  }

  get path(): string {
    return this.#asked.path;
  }

  get query(): string {
    return this.#asked.query;
  }

  get host(): string {
    return this.#asked.host;
  }

  get headers(): PluginFields {
    return new Fields(this.#asked.fields);
  }

  get address(): string {
    return this.#asked.callerAddress;
  }

  get peerAddress(): string {
    return this.#asked.peerAddress;
  }

  get timeMs(): number {
    return this.#asked.wallMs;
  }
}

/** A call as filters see it. */
export class AdmittedView extends CallView implements PluginAdmittedCall {
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
export class RequestView implements PluginRequest {
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
export class ReplyView implements PluginReply {
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
export function isStatus(status: unknown): status is number {
  return typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599;
}
