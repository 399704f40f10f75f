import { isFieldName, isFieldValue, isHopByHop } from '../../domain/field-syntax.ts';
import { redirectTo } from '../../domain/filters/redirect-to.ts';
import {
  addResponseHeader,
  removeResponseHeader,
  setResponseHeader,
  setStatus,
} from '../../domain/filters/reply-fields.ts';
import {
  addRequestHeader,
  preserveHostHeader,
  removeRequestHeader,
  setRequestHeader,
} from '../../domain/filters/request-fields.ts';
import { SECURE_HEADER_NAMES, secureHeaders } from '../../domain/filters/secure-headers.ts';
import { addRequestParameter, prefixPath, rewritePath, setPath, stripPrefix } from '../../domain/filters/target.ts';
import { parseStatus } from '../../domain/http-status.ts';
import { isIdentityField } from '../../domain/identity-fields.ts';
import { parseReplacement } from '../../domain/regex.ts';
import type { Filter } from '../../domain/route.ts';
import { parseTemplate, type Template } from '../../domain/template.ts';
import { sizeBytes } from '../units.ts';
import { nearestOf } from '../nearest.ts';
import { regexOf, type Part, type PartDefinition } from './part.ts';

/** A filter, and what it changes about the route instead of about requests. */
export interface MadeFilter {
  readonly filter: Filter;
  readonly bodyBytesMax?: number;
}

type Definition = PartDefinition<MadeFilter>;

const FIELD = { shape: 'fields', fields: ['name', 'value'], required: 2 } as const;
const NAME = { shape: 'fields', fields: ['name'], required: 1 } as const;

/** The filters there are, by name. */
export const FILTERS: ReadonlyMap<string, Definition> = new Map<string, Definition>([
  [
    'AddRequestHeader',
    {
      ...FIELD,
      manual: 'Adds a field to what the instance is sent; `{name}` stands for what Path or Host captured.',
      example: 'AddRequestHeader=X-Env, prod',
      make: part => withField(part, 'request', args => addRequestHeader(part.written.text, args)),
    },
  ],
  [
    'AddRequestParameter',
    {
      ...FIELD,
      manual: 'Adds a parameter to the query, as it is written here: encoded.',
      example: 'AddRequestParameter=red, blue',
      make: parameterOf,
    },
  ],
  [
    'AddResponseHeader',
    {
      shape: 'fields',
      fields: ['name', 'value', 'override'],
      required: 2,
      manual: 'Adds a field to the reply, beside any that is there; with `override` false only where there is none.',
      example: 'AddResponseHeader=X-Served-By, penstock',
      make(part) {
        const mayRepeat = flagOf(part, 'override', true);
        return withField(part, 'reply', args => addResponseHeader(part.written.text, { ...args, mayRepeat }));
      },
    },
  ],
  [
    'PrefixPath',
    {
      shape: 'fields',
      fields: ['prefix'],
      required: 1,
      manual: 'Puts this before the path; once a request.',
      example: 'PrefixPath=/v1',
      make: part => withTemplate(part, 'prefix', prefixPath),
    },
  ],
  [
    'PreserveHostHeader',
    {
      shape: 'fields',
      fields: [],
      required: 0,
      manual: 'Sends the instance the `Host` that the caller sent.',
      example: 'PreserveHostHeader',
      make: part => ({ filter: preserveHostHeader(part.written.text) }),
    },
  ],
  [
    'RedirectTo',
    {
      shape: 'fields',
      fields: ['status', 'url', 'includeRequestParams'],
      required: 2,
      manual: 'Answers with a redirect instead of asking the instance.',
      example: 'RedirectTo=302, https://example.org/',
      make: redirectOf,
    },
  ],
  [
    'RemoveRequestHeader',
    {
      ...NAME,
      manual: 'Keeps a field from the instance.',
      example: 'RemoveRequestHeader=Cookie',
      make: part => withName(part, 'request', name => removeRequestHeader(part.written.text, name)),
    },
  ],
  [
    'RemoveResponseHeader',
    {
      ...NAME,
      manual: 'Keeps a field of the reply from the caller.',
      example: 'RemoveResponseHeader=X-Powered-By',
      make: part => withName(part, 'reply', name => removeResponseHeader(part.written.text, name)),
    },
  ],
  [
    'RequestSize',
    {
      shape: 'fields',
      fields: ['maxSize'],
      required: 0,
      manual: 'Refuses a larger body with BODY_TOO_LARGE; the bytes that come are counted, not those announced.',
      example: 'RequestSize=5MB',
      make: requestSizeOf,
    },
  ],
  [
    'RewritePath',
    {
      shape: 'fields',
      fields: ['regexp', 'replacement'],
      required: 2,
      manual: 'Replaces what the regex finds in the path as it came; `$\\{name}` stands for a group.',
      example: 'RewritePath=/api/?(?<rest>.*), /$\\{rest}',
      make: rewriteOf,
    },
  ],
  [
    'SecureHeaders',
    {
      shape: 'fields',
      fields: [],
      required: 0,
      named: ['enable', 'disable'],
      manual: 'Adds the fields that keep browsers careful, where the instance did not send them.',
      example: 'SecureHeaders',
      make: secureHeadersOf,
    },
  ],
  [
    'SetPath',
    {
      shape: 'fields',
      fields: ['template'],
      required: 1,
      manual: 'Puts this in place of the path; `{name}` stands for what Path or Host captured.',
      example: 'SetPath=/{model}/predict',
      make: part => withTemplate(part, 'template', setPath),
    },
  ],
  [
    'SetRequestHeader',
    {
      ...FIELD,
      manual: 'Sends the instance this field once, whatever the caller sent.',
      example: 'SetRequestHeader=X-Env, prod',
      make: part => withField(part, 'request', args => setRequestHeader(part.written.text, args)),
    },
  ],
  [
    'SetResponseHeader',
    {
      ...FIELD,
      manual: 'Sends the caller this field once, whatever the instance sent.',
      example: 'SetResponseHeader=Cache-Control, no-store',
      make: part => withField(part, 'reply', args => setResponseHeader(part.written.text, args)),
    },
  ],
  [
    'SetStatus',
    {
      shape: 'fields',
      fields: ['status'],
      required: 1,
      manual: 'Answers with this status instead of the instance’s.',
      example: 'SetStatus=202',
      make: setStatusOf,
    },
  ],
  [
    'StripPrefix',
    {
      shape: 'fields',
      fields: ['parts'],
      required: 0,
      manual: 'Drops so many parts from the start of the path; one where no number is given.',
      example: 'StripPrefix=2',
      make: stripPrefixOf,
    },
  ],
]);

/** Fields whose place is the message's frame, the connection or the gateway's own word. */
const OTHER_WAY: ReadonlyMap<string, string> = new Map([
  ['host', 'PreserveHostHeader sends the caller’s; otherwise it is the instance’s own'],
  ['content-length', 'the gateway frames messages itself; `body: { max }` and RequestSize bound them'],
  ['transfer-encoding', 'the gateway frames messages itself'],
  ['connection', 'write `services: { NAME: { connection: { reuse } } }`'],
  ['expect', 'the gateway answers it itself'],
  ['authorization', 'write `auth: { forwardToken: true }` to pass the caller’s on'],
]);

/** True for what can be a field's name here; says what else to do where not. */
function isFree(part: Part, name: string, side: 'request' | 'reply'): boolean {
  const lowerName = name.toLowerCase();
  const isOurs = side === 'request' && (isIdentityField(lowerName) || lowerName === 'plumber-shared-secret');
  const isFraming = isHopByHop(lowerName) || ['host', 'content-length', 'expect'].includes(lowerName);
  if (!isFieldName(name)) part.complain('is no name of a header field', { piece: name });
  else if (isOurs) part.complain(`${name} is the gateway’s own word to the instance`, { piece: name });
  else if (isFraming && !(side === 'reply' && lowerName === 'host')) {
    const hint = OTHER_WAY.get(lowerName) ?? 'it concerns one connection only, and ends at each hop';
    part.complain(`${name} is not a filter’s to change`, { hint, piece: name });
  } else return warnOfUnderscore(part, name, side);
  return false;
}

/** R reads `_` as `-`, so that a caller could otherwise say `X_User` where `X-User` is checked. */
function warnOfUnderscore(part: Part, name: string, side: 'request' | 'reply'): true {
  if (side === 'request' && name.includes('_')) {
    const hint = `write ${name.replaceAll('_', '-')}`;
    part.complain('R cannot tell `_` from `-` in the name of a field', { severity: 'warning', hint, piece: name });
  }
  return true;
}

function withName(part: Part, side: 'request' | 'reply', create: (name: string) => Filter): MadeFilter | undefined {
  const name = part.one('name') ?? '';
  return isFree(part, name, side) ? { filter: create(name) } : undefined;
}

function withField(
  part: Part,
  side: 'request' | 'reply',
  create: (args: { name: string; value: Template }) => Filter,
): MadeFilter | undefined {
  const [name = '', text = ''] = [part.one('name'), part.one('value')];
  const isSound = isFree(part, name, side) && isFit(part, text);
  const value = templateOf(part, text);
  return isSound && value ? { filter: create({ name, value }) } : undefined;
}

function isFit(part: Part, value: string): boolean {
  if (isFieldValue(value)) return true;
  part.complain('the value holds what no header field may: a line end, a control character, or more than Latin-1');
  return false;
}

/** A template whose names the route captures. */
function templateOf(part: Part, text: string): Template | undefined {
  const template = parseTemplate(text);
  const unknown = template.names.filter(name => !part.captured.has(name));
  for (const name of unknown) {
    const known = [...part.captured];
    const hint = known.length === 0 ? 'capture it, for example with Path=/{name}/**' : `captured: ${known.join(', ')}`;
    part.complain(`no predicate of the route captures {${name}}`, { hint, piece: `{${name}` });
  }
  return unknown.length === 0 ? template : undefined;
}

function withTemplate(
  part: Part,
  field: string,
  create: (text: string, template: Template) => Filter,
): MadeFilter | undefined {
  const text = part.one(field) ?? '';
  if (!text.startsWith('/')) part.complain(`${field} must start with /`, { piece: text });
  const odd = /[?#\s]/.exec(text)?.[0];
  if (odd !== undefined) part.complain(`${field} is a path: no query, fragment or space`, { piece: text });
  const template = templateOf(part, text);
  const isSound = text.startsWith('/') && odd === undefined && template !== undefined;
  return isSound ? { filter: create(part.written.text, template) } : undefined;
}

function parameterOf(part: Part): MadeFilter | undefined {
  const [name = '', text = ''] = [part.one('name'), part.one('value')];
  const isSound = [name, text].every(piece => {
    if (/^[!$%&'()*+,./0-9:;=?@A-Z_a-z{}~-]*$/.test(piece)) return true;
    part.complain('must be written as it stands in a URL, percent-encoded', { piece });
    return false;
  });
  const value = templateOf(part, text);
  return isSound && value ? { filter: addRequestParameter(part.written.text, { name, value }) } : undefined;
}

function flagOf(part: Part, field: string, otherwise: boolean): boolean {
  const text = part.one(field);
  if (text === undefined) return otherwise;
  if (!/^(?:true|false)$/i.test(text)) part.complain(`${field} must be true or false`, { piece: text });
  return text.toLowerCase() === 'true';
}

function redirectOf(part: Part): MadeFilter | undefined {
  const [statusText = '', url = ''] = [part.one('status'), part.one('url')];
  const status = parseStatus(statusText);
  const isRedirect = status !== undefined && status >= 300 && status <= 399 && status !== 304;
  if (!isRedirect) part.complain('status must be one of 300 to 399 that redirects', { piece: statusText });
  const isUrl = /^(?:https?:\/\/|\/)[!-~]*$/.test(url) && URL.canParse(url, 'http://example.org');
  if (!isUrl)
    part.complain('url must be a URL, percent-encoded', { hint: 'for example https://example.org/', piece: url });
  const includeRequestParams = flagOf(part, 'includeRequestParams', false);
  if (!isRedirect || !isUrl) return undefined;
  return { filter: redirectTo(part.written.text, { status, url, includeRequestParams }) };
}

const SPRING_UNIT: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['KB', 1_024],
  ['MB', 1_024 ** 2],
  ['GB', 1_024 ** 3],
]);

/** Spring's default where none is given: 5,000,000 bytes. */
function requestSizeOf(part: Part): MadeFilter | undefined {
  const text = part.one('maxSize') ?? '5000000';
  const [, amount, unit = ''] = /^(\d{1,12})([KMG]?B)?$/.exec(text) ?? [];
  const bodyBytesMax = amount === undefined ? sizeBytes(text) : Number(amount) * (SPRING_UNIT.get(unit) ?? 1);
  if (bodyBytesMax !== undefined && Number.isSafeInteger(bodyBytesMax)) {
    return { filter: { name: 'RequestSize', text: part.written.text }, bodyBytesMax };
  }
  part.complain('maxSize must be a size', { hint: 'write 5000000, 5MB or 5MiB', piece: text });
  return undefined;
}

function rewriteOf(part: Part): MadeFilter | undefined {
  const regex = regexOf(part, 'regexp');
  if (regex === undefined) return undefined;
  // Spring reads `$\` as `$`, because `${` would have meant a property.
  const text = (part.one('replacement') ?? '').replaceAll('$\\', '$');
  const replacement = parseReplacement(text, regex);
  if ('problem' in replacement) {
    part.complain(`replacement: ${replacement.problem}`, { piece: part.one('replacement') });
    return undefined;
  }
  if (replacement.some(piece => typeof piece === 'string' && /[#\s]/.test(piece))) {
    part.complain('replacement is a path: no fragment or space', { piece: text });
    return undefined;
  }
  return { filter: rewritePath(part.written.text, { regex, replacement }) };
}

function secureHeadersOf(part: Part): MadeFilter | undefined {
  const chosen = (field: string) =>
    part
      .all(field)
      .flatMap(text => text.split(','))
      .map(name => name.trim().toLowerCase());
  const [enable, disable] = [chosen('enable'), chosen('disable')];
  const unknown = [...enable, ...disable].filter(name => !SECURE_HEADER_NAMES.includes(name));
  for (const name of unknown) {
    const nearest = nearestOf(name, SECURE_HEADER_NAMES);
    const hint = nearest === undefined ? `known: ${SECURE_HEADER_NAMES.join(', ')}` : `did you mean ${nearest}?`;
    part.complain(`sets no ${name}`, { hint, piece: name });
  }
  return unknown.length === 0 ? { filter: secureHeaders(part.written.text, { enable, disable }) } : undefined;
}

function setStatusOf(part: Part): MadeFilter | undefined {
  const text = part.one('status') ?? '';
  const status = parseStatus(text);
  if (status !== undefined) return { filter: setStatus(part.written.text, status) };
  part.complain('status must be a number from 200 to 599, or a name such as NOT_FOUND', { piece: text });
  return undefined;
}

function stripPrefixOf(part: Part): MadeFilter | undefined {
  const text = part.one('parts') ?? '1';
  if (/^\d{1,3}$/.test(text)) return { filter: stripPrefix(part.written.text, Number(text)) };
  part.complain('parts must be a whole number', { piece: text });
  return undefined;
}
