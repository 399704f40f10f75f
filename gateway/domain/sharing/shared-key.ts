import type { Complete } from '../exchange.ts';
import { fieldsOf, type RawFields } from '../http/fields.ts';
import { SHARED_SECRET_FIELD } from '../http/upstream-request.ts';
import type { Digest, UpstreamMessage } from '../ports.ts';
import type { Sharing, VaryKey } from '../route.ts';
import { bodyReadingOf } from './body-reading.ts';
import { writeJsonValue } from './json/json-value.ts';
import { composeShared } from './shared-message.ts';
import type { Shared } from './shared.ts';

/** A request on a route that shares, as R would see it: composed, and its key computed, when first asked for. */
export function sharedOf(complete: Complete, sharing: Sharing, digest: Digest): Shared {
  return new SharedRequest(complete, sharing, digest);
}

class SharedRequest implements Shared {
  readonly complete: Complete;
  readonly sharing: Sharing;
  readonly #digest: Digest;
  #message: UpstreamMessage | undefined;
  #group: string | undefined;
  #key: string | undefined;

  constructor(complete: Complete, sharing: Sharing, digest: Digest) {
    this.complete = complete;
    this.sharing = sharing;
    this.#digest = digest;
  }

  get message(): UpstreamMessage {
    return (this.#message ??= composeShared(this.complete, this.sharing.varyBy));
  }

  get group(): string {
    return (this.#group ??= groupOf(this));
  }

  get key(): string {
    return (this.#key ??= keyOf(this.group, this.message, this.#digest));
  }
}

/**
 * All in which requests must agree but the body, each part with its length before it, so that no two lists of parts make
 * the same text.
 *
 * What `varyBy` names counts as the caller said it, even where a filter takes it away or it is not for R to know.
 */
function groupOf({ complete, sharing, message }: Omit<Shared, 'group' | 'key'>): string {
  const { route } = complete;
  const { method, target, host = '', rawHeaders } = message;
  const parts = [route.id, route.service.name, route.service.versions, method, target, host];
  for (const key of sharing.varyBy) parts.push(variedBy(key, complete));
  parts.push(...linesOf(rawHeaders));
  let text = '';
  for (const part of parts) text += `${part.length}:${part}`;
  return text;
}

/** Several lines of a field are not one line with their sum, and none is not an empty one. */
function variedBy(key: VaryKey, { caller, rawHeaders }: Complete): string {
  return key.kind === 'caller'
    ? caller.id
    : fieldsOf(rawHeaders, key.name)
        .map(value => `${value}\n`)
        .join('');
}

/** Names in lower case and in order, since R sees neither their case nor their order; lines of one name in theirs. */
function linesOf(fields: RawFields): string[] {
  const lines: { readonly name: string; readonly value: string }[] = [];
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]?.toLowerCase() ?? '';
    if (name !== SECRET) lines.push({ name, value: fields[i + 1] ?? '' });
  }
  if (lines.length > 1) lines.sort((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)));
  return lines.map(({ name, value }) => `${name}:${value}`);
}

/** The same for all, and not to be kept in more places than need be. */
const SECRET = SHARED_SECRET_FIELD.toLowerCase();

const AS_VALUE = 0x76;
const AS_BYTES = 0x62;

function keyOf(group: string, { rawHeaders, body }: UpstreamMessage, digest: Digest): string {
  const text = Buffer.allocUnsafe(Buffer.byteLength(group) + 1 + body.length);
  const at = text.write(group);
  const mayBeValue = bodyReadingOf(rawHeaders, body) !== 'bytes';
  const valueEnd = mayBeValue ? writeJsonValue(body, text, at + 1) : undefined;
  text[at] = valueEnd === undefined ? AS_BYTES : AS_VALUE;
  const end = valueEnd ?? at + 1 + body.copy(text, at + 1);
  return digest(text.subarray(0, end));
}
