import { GatewayError } from '../errors.ts';
import { isHost } from '../http/forwarding.ts';
import { appendField, fieldsOf, lowerNameOf, removeField, setField } from '../http/fields.ts';
import type { Filter, RequestDraft } from '../route.ts';
import { parameterName } from './predicates.ts';
import type { Regex } from './regex.ts';
import type { Template } from './template.ts';

interface FieldArgs {
  readonly name: string;
  readonly value: Template;
}

/** Adds one more line of a field to what the instance is sent. */
export function addRequestHeader(text: string, { name, value }: FieldArgs): Filter {
  return {
    name: 'AddRequestHeader',
    text,
    onRequest: (draft, { variables }) => appendField(draft.fields, name, value.expand(variables)),
  };
}

/** Leaves exactly one line of a field in what the instance is sent. */
export function setRequestHeader(text: string, { name, value }: FieldArgs): Filter {
  return {
    name: 'SetRequestHeader',
    text,
    onRequest: (draft, { variables }) => setField(draft.fields, name, value.expand(variables)),
  };
}

/** Removes a field from what the instance is sent. */
export function removeRequestHeader(text: string, name: string): Filter {
  const lowerName = name.toLowerCase();
  return { name: 'RemoveRequestHeader', text, onRequest: draft => removeField(draft.fields, lowerName) };
}

/** Sends the instance the `Host` that the caller sent, instead of the instance's own. */
export function preserveHostHeader(text: string): Filter {
  return {
    name: 'PreserveHostHeader',
    text,
    onRequest: (draft, { host }) => {
      draft.host = host;
    },
  };
}

/** Drops so many parts from the path's start; empty parts do not count, and a slash at the end stays. */
export function stripPrefix(text: string, parts: number): Filter {
  return {
    name: 'StripPrefix',
    text,
    isOfPath: true,
    onRequest: draft => {
      draft.path = withoutParts(draft.path, parts);
    },
  };
}

function withoutParts(path: string, count: number): string {
  if (path.includes('//')) return withoutParts(path.replace(/\/{2,}/g, '/'), count);
  let at = path.startsWith('/') ? 0 : -1;
  for (let left = count; left > 0; left--) {
    at = path.indexOf('/', at + 1);
    if (at < 0) return '/';
  }
  return at < 0 ? `/${path}` : path.slice(at);
}

/** Puts a prefix before the path; once a request, however many such filters there are. */
export function prefixPath(text: string, prefix: Template): Filter {
  return {
    name: 'PrefixPath',
    text,
    isOfPath: true,
    onRequest(draft, { variables }) {
      if (draft.isPrefixed) return;
      draft.isPrefixed = true;
      draft.path = prefix.expand(variables) + draft.path;
    },
  };
}

/** Puts another path in place of the whole. */
export function setPath(text: string, template: Template): Filter {
  return {
    name: 'SetPath',
    text,
    isOfPath: true,
    onRequest: (draft, { variables }) => {
      draft.path = template.expand(variables);
    },
  };
}

interface Rewrite {
  readonly regex: Regex;
  readonly replacement: readonly (string | number)[];
}

/** Replaces what the regex finds in the path, which is encoded (docs/paths.md). A `?` in the replacement begins a query. */
export function rewritePath(text: string, { regex, replacement }: Rewrite): Filter {
  return {
    name: 'RewritePath',
    text,
    isOfPath: true,
    onRequest(draft) {
      const rewritten = regex.replaceAll(draft.path, replacement);
      const at = rewritten.indexOf('?');
      const path = at === -1 ? rewritten : rewritten.slice(0, at);
      draft.path = path.startsWith('/') ? path : `/${path}`;
      if (at !== -1) draft.query = joined(rewritten.slice(at + 1), draft.query);
    },
  };
}

/** Adds a parameter to the query's end. What was captured cannot end the parameter or begin another. */
export function addRequestParameter(text: string, { name, value }: { name: string; value: Template }): Filter {
  return {
    name: 'AddRequestParameter',
    text,
    isOfPath: true,
    onRequest(draft: RequestDraft, { variables }) {
      draft.query = joined(draft.query, `${name}=${value.expand(variables, asValue)}`);
    },
  };
}

/** Adds fields, each only where the request has none of its name with something in it. */
export function addRequestHeadersIfNotPresent(text: string, added: readonly FieldArgs[]): Filter {
  const byName = new Map<string, FieldArgs[]>();
  for (const each of added) {
    const lowerName = each.name.toLowerCase();
    byName.set(lowerName, [...(byName.get(lowerName) ?? []), each]);
  }
  return {
    name: 'AddRequestHeadersIfNotPresent',
    text,
    onRequest({ fields }, { variables }) {
      for (const [lowerName, lines] of byName) {
        if (fieldsOf(fields, lowerName).some(line => line.trim() !== '')) continue;
        removeField(fields, lowerName);
        for (const { name, value } of lines) appendField(fields, name, value.expand(variables));
      }
    },
  };
}

/** Sends every line of one field once more, under another name. */
export function mapRequestHeader(text: string, { from, to }: { readonly from: string; readonly to: string }): Filter {
  const lowerName = from.toLowerCase();
  return {
    name: 'MapRequestHeader',
    text,
    onRequest({ fields }) {
      for (const line of fieldsOf(fields, lowerName)) appendField(fields, to, line);
    },
  };
}

/** Refuses a request with a field whose name and lines together are longer; `errorName` is a field that says so. */
export function requestHeaderSize(
  text: string,
  { bytesMax, errorName }: { readonly bytesMax: number; readonly errorName: string | undefined },
): Filter {
  return {
    name: 'RequestHeaderSize',
    text,
    onRequest(_draft, { fields }) {
      const sizes = new Map<string, number>();
      for (let i = 0; i + 1 < fields.length; i += 2) {
        const [name = '', line = ''] = [fields[i], fields[i + 1]];
        const lowerName = lowerNameOf(name);
        const size = (sizes.get(lowerName) ?? name.length) + line.length;
        sizes.set(lowerName, size);
        if (size > bytesMax) throw tooLarge(bytesMax, errorName);
      }
    },
  };
}

function tooLarge(bytesMax: number, errorName: string | undefined): GatewayError {
  const detail = `A header field is longer than the ${bytesMax} bytes that this route takes.`;
  const fields = errorName === undefined ? [] : [errorName, detail];
  return new GatewayError('HEADERS_TOO_LARGE', `a field is longer than ${bytesMax} bytes`, { detail, fields });
}

/** Sends the instance this `Host`. */
export function setRequestHostHeader(text: string, host: Template): Filter {
  return {
    name: 'SetRequestHostHeader',
    text,
    onRequest(draft, { variables }) {
      const value = host.expand(variables);
      if (!isHost(value)) {
        throw new GatewayError('BAD_REQUEST', `${text} makes what is no host`, {
          detail: 'A part of the URL that becomes a host contains what no host may.',
        });
      }
      draft.host = value;
    },
  };
}

/** Takes a parameter out of the query, however often it stands there and however its name is spelled. */
export function removeRequestParameter(text: string, name: string): Filter {
  return {
    name: 'RemoveRequestParameter',
    text,
    isOfPath: true,
    onRequest(draft) {
      draft.query = withoutParameter(draft.query, name).join('&');
    },
  };
}

/** Gives a parameter that is in the query another value, once. */
export function rewriteRequestParameter(
  text: string,
  { name, value }: { readonly name: string; readonly value: string },
): Filter {
  const pair = `${encodeURIComponent(name)}=${value}`;
  return {
    name: 'RewriteRequestParameter',
    text,
    isOfPath: true,
    onRequest(draft) {
      const others = withoutParameter(draft.query, name);
      const isThere = others.length < pairsOf(draft.query).length;
      if (isThere) draft.query = [...others, pair].join('&');
    },
  };
}

function pairsOf(query: string): string[] {
  return query === '' ? [] : query.split('&');
}

function withoutParameter(query: string, name: string): string[] {
  return pairsOf(query).filter(pair => parameterName(pair) !== name);
}

function asValue(captured: string): string {
  return captured.replaceAll(/[&=+;#]/g, encodeURIComponent);
}

function joined(first: string, second: string): string {
  return first === '' || second === '' ? first + second : `${first}&${second}`;
}
