import { appendField, removeField, setField } from '../http/fields.ts';
import type { Filter, RequestDraft } from '../route.ts';
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

function asValue(captured: string): string {
  return captured.replaceAll(/[&=+;#]/g, encodeURIComponent);
}

function joined(first: string, second: string): string {
  return first === '' || second === '' ? first + second : `${first}&${second}`;
}
