import { BoundedMap } from '../bounded-map.ts';
import type { Complete } from '../call.ts';
import { fieldOf, fieldsOf, setField, type RawFields } from '../http/fields.ts';
import { identityFields, callersFields, compose, SHARED_SECRET_FIELD } from '../http/upstream-request.ts';
import type { Route, Sharing, VaryKey } from '../route.ts';
import { affinityOf } from '../service/balance/policy.ts';
import type { UpstreamMessage, UpstreamRequestOptions, Waiting } from '../upstream.ts';
import { bodyReadingOf } from './body-reading.ts';
import { directivesOf, type Directives } from './freshness.ts';
import { writeJsonValue } from './json/json-value.ts';

/** A digest of what it is given that no caller can aim at: short, the same for the same, and fit for a header field. */
export type Digest = (data: string | Buffer) => string;

/** For how long what is put to R is of use, and what takes an answer that comes later. */
export type Share = Pick<UpstreamRequestOptions, 'endsMs' | 'keepLate'>;

/** A call on a route that shares: what R is sent of it, and its key, made when first asked for. */
export class SharedCall {
  readonly call: Complete;
  readonly sharing: Sharing;
  readonly #digest: Digest;
  #message: UpstreamMessage | undefined = undefined;
  #group: string | undefined = undefined;
  #key: string | undefined = undefined;
  #directives: Readonly<Directives> | undefined = undefined;

  constructor(call: Complete, sharing: Sharing, digest: Digest) {
    this.call = call;
    this.sharing = sharing;
    this.#digest = digest;
  }

  /** What R is sent: nothing of the call is in it that is not in the key. */
  get message(): UpstreamMessage {
    return (this.#message ??= composeShared(this.call, this.sharing.varyBy));
  }

  /** Equal for calls that agree in all but their bodies: route, versions, target, fields, and what varies the answer. */
  get group(): string {
    return (this.#group ??= groupOf(this.call, this.sharing.varyBy, this.message));
  }

  /** Equal for calls that ask the same of the same versions of a model: the digest of the group and the body's value. */
  get key(): string {
    return (this.#key ??= ofRoute(this.call.route).keys.of(this.group, this.message, this.#digest));
  }

  /** What the caller says to caches. */
  get directives(): Readonly<Directives> {
    return (this.#directives ??= directivesOf(this.call.fields));
  }

  /** How it is put to R, in the flow of its own caller: for itself, or for all who share it. */
  requestOptions(waiting: Waiting, share: Share): UpstreamRequestOptions {
    const { call } = this;
    const { id, route, method, caller } = call;
    return {
      id,
      route,
      method,
      callerId: caller.id,
      affinity: affinityOf(route.service.policy.balance, call),
      endsMs: share.endsMs,
      isShared: true,
      waiting,
      message: () => this.message,
      get keepLate() {
        return share.keepLate; // a call that would store the answer may come later
      },
    };
  }
}

/**
 * What R is sent on a route that shares: the content with its own fields, what `varyBy` names, who calls only with
 * `varyBy: [caller]`, and what the route's filters make of that. Nothing else of the caller that comes first reaches R,
 * so that nothing of it can be in an answer that others get.
 */
function composeShared(call: Complete, varyBy: readonly VaryKey[]): UpstreamMessage {
  const { caller, content } = call;
  const hasContent = content.length > 0;
  if (!hasContent && varyBy.length === 0) return compose(call, { fields: [], identity: NO_FIELDS, content });
  const isShared = (name: string) => (hasContent && isOfContent(name)) || isNamed(name, varyBy);
  const fields = callersFields(call, isShared);
  const identity = varyBy.some(({ kind }) => kind === 'caller') ? identityFields(caller) : NO_FIELDS;
  if (!isNamed('content-type', varyBy)) sayJson(fields, content);
  return compose(call, { fields, identity, content });
}

const NO_FIELDS: RawFields = [];

/** What describes the content begins so, be it of RFC 9110 (§8.3 to §8.7), RFC 9530 (`Content-Digest`) or another. */
function isOfContent(name: string): boolean {
  return name.startsWith('content-');
}

function isNamed(name: string, varyBy: readonly VaryKey[]): boolean {
  return varyBy.some(key => key.kind === 'header' && key.name === name);
}

/** JSON that Plumber reads as JSON is said to be JSON, however the caller said it or left it out: then it is one request. */
function sayJson(fields: string[], content: Buffer): void {
  if (fieldOf(fields, 'content-type') === JSON_TYPE || bodyReadingOf(fields, content) !== 'json') return;
  setField(fields, 'Content-Type', JSON_TYPE);
}

const JSON_TYPE = 'application/json';

/**
 * All in which calls must agree but the body, each part with its length before it, so that no two lists of parts make
 * the same text.
 *
 * What `varyBy` names counts as the caller said it, even where a filter takes it away or it is not for R to know.
 */
function groupOf(call: Complete, varyBy: readonly VaryKey[], message: UpstreamMessage): string {
  const { method, target, host = '', fields } = message;
  let text = `${routePart(call.route)}${method.length}:${method}${target.length}:${target}${host.length}:${host}`;
  for (const key of varyBy) text += withLength(variedBy(key, call));
  return text + linesOf(fields);
}

function withLength(part: string): string {
  return `${part.length}:${part}`;
}

/** What all calls of a route agree in, while its service lists the same versions. */
function routePart(route: Route): string {
  const of = ofRoute(route);
  const { name, versions } = route.service;
  if (of.versions !== versions) {
    of.versions = versions;
    of.part = [route.id, name, versions].map(withLength).join('');
  }
  return of.part;
}

/** What is computed for a route once, and again for others that ask it alike. */
interface OfRoute {
  versions: string | undefined;
  part: string;
  readonly keys: RecentKeys;
}

const routes = new WeakMap<Route, OfRoute>(); // a generation's own

function ofRoute(route: Route): OfRoute {
  let of = routes.get(route);
  if (of === undefined) {
    of = { versions: undefined, part: '', keys: new RecentKeys() };
    routes.set(route, of);
  }
  return of;
}

/** Several lines of a field are not one line with their sum, and none is not an empty one. */
function variedBy(key: VaryKey, { caller, fields }: Complete): string {
  return key.kind === 'caller'
    ? caller.id
    : fieldsOf(fields, key.name)
        .map(value => `${value}\n`)
        .join('');
}

/** Names in lower case and in order, since R sees neither their case nor their order; lines of one name in theirs. */
function linesOf(fields: RawFields): string {
  let text = '';
  let before = '';
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    if (name === SECRET) continue;
    if (name < before) return sortedLinesOf(fields);
    before = name;
    text += withLength(`${name}:${fields[i + 1] ?? ''}`);
  }
  return text;
}

function sortedLinesOf(fields: RawFields): string {
  const lines: { readonly name: string; readonly value: string }[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = (fields[i] ?? '').toLowerCase();
    if (name !== SECRET) lines.push({ name, value: fields[i + 1] ?? '' });
  }
  lines.sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)));
  return lines.map(({ name, value }) => withLength(`${name}:${value}`)).join('');
}

/** The same for all, and not to be kept in more places than need be. */
const SECRET = SHARED_SECRET_FIELD.toLowerCase();

const AS_VALUE = 0x76;
const AS_BYTES = 0x62;

function keyOf(group: string, { fields, body }: UpstreamMessage, digest: Digest): string {
  const text = Buffer.allocUnsafe(Buffer.byteLength(group) + 1 + body.length);
  const at = text.write(group);
  const mayBeValue = bodyReadingOf(fields, body) !== 'bytes';
  const valueEnd = mayBeValue ? writeJsonValue(body, text, at + 1) : undefined;
  text[at] = valueEnd === undefined ? AS_BYTES : AS_VALUE;
  const end = valueEnd ?? at + 1 + body.copy(text, at + 1);
  return digest(text.subarray(0, end));
}

/** Longer texts are digested each time: they are seldom sent twice alike. */
const TEXT_BYTES_MAX = 1_024;

/** So many keys are known of a route at most. */
const KEYS_MAX = 1_024;

/**
 * The keys of what was asked lately, byte for byte: reading JSON by its value and a digest cost ten times what finding
 * a text costs that stands here.
 */
class RecentKeys {
  readonly #known = new BoundedMap<string, string>(KEYS_MAX);

  of(group: string, message: UpstreamMessage, digest: Digest): string {
    const text = textOf(group, message.body);
    if (text === undefined) return keyOf(group, message, digest);
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const key = keyOf(group, message, digest);
    this.#known.set(text, key);
    return key;
  }
}

/** Group and body with what no group goes on with between them; undefined: it is long. */
function textOf(group: string, body: Buffer): string | undefined {
  const length = group.length + 1 + body.length;
  return length > TEXT_BYTES_MAX ? undefined : `${group}|${body.toString('latin1')}`;
}
