import { isHost } from '../../domain/http/forwarding.ts';
import { isFieldName, isFieldValue, isHopByHop } from '../../domain/http/fields.ts';
import { isIdentityField } from '../../domain/http/upstream-request.ts';
import type { Filter } from '../../domain/route.ts';
import {
  addResponseHeader,
  dedupeResponseHeader,
  removeResponseHeader,
  rewriteLocationResponseHeader,
  rewriteResponseHeader,
  SECURE_HEADER_NAMES,
  secureHeaders,
  setResponseHeader,
} from '../../domain/routing/reply-filters.ts';
import {
  addRequestHeader,
  addRequestHeadersIfNotPresent,
  mapRequestHeader,
  preserveHostHeader,
  removeRequestHeader,
  requestHeaderSize,
  setRequestHeader,
  setRequestHostHeader,
} from '../../domain/routing/request-filters.ts';
import type { Template } from '../../domain/routing/template.ts';
import { nearestOf } from '../nearest.ts';
import {
  flagOf,
  regexOf,
  replacementOf,
  sizeOf,
  templateOf,
  type FilterDefinition,
  type MadeFilter,
  type Part,
} from './part.ts';

const FIELD = { shape: 'fields', fields: ['name', 'value'], required: 2 } as const;
const NAME = { shape: 'fields', fields: ['name'], required: 1 } as const;

/** Filters that change header fields, by name. */
export const FIELD_FILTERS: readonly (readonly [string, FilterDefinition])[] = [
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
    'AddRequestHeadersIfNotPresent',
    {
      shape: 'list',
      fields: ['keyValues'],
      required: 1,
      manual: 'Adds fields to what the instance is sent, each where the request has none of its name.',
      example: 'AddRequestHeadersIfNotPresent=X-Env:prod, X-Region:eu',
      make: absentFieldsOf,
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
    'DedupeResponseHeader',
    {
      shape: 'fields',
      fields: ['name', 'strategy'],
      required: 1,
      manual:
        'Leaves one line of each of these fields of the reply, with spaces between their names: RETAIN_FIRST, RETAIN_LAST, or each value once by RETAIN_UNIQUE.',
      example: 'DedupeResponseHeader=Set-Cookie X-Served-By, RETAIN_UNIQUE',
      make: dedupeOf,
    },
  ],
  [
    'MapRequestHeader',
    {
      shape: 'fields',
      fields: ['fromHeader', 'toHeader'],
      required: 2,
      manual: 'Sends the lines of one field once more, under another name.',
      example: 'MapRequestHeader=Blue, X-Request-Red',
      make(part) {
        const [from = '', to = ''] = [part.one('fromHeader'), part.one('toHeader')];
        const isSound = isFree(part, from, 'reply') && isFree(part, to, 'request');
        return isSound ? { filter: mapRequestHeader(part.written.text, { from, to }) } : undefined;
      },
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
    'RequestHeaderSize',
    {
      shape: 'fields',
      fields: ['maxSize', 'errorHeaderName'],
      required: 0,
      manual: 'Refuses a request with a longer field with HEADERS_TOO_LARGE; 16000 bytes where no size is given.',
      example: 'RequestHeaderSize=1000B',
      make: headerSizeOf,
    },
  ],
  [
    'RewriteLocationResponseHeader',
    {
      shape: 'fields',
      fields: ['stripVersion', 'locationHeaderName', 'hostValue', 'protocols'],
      required: 0,
      named: ['protocolsRegex'],
      manual:
        'Puts the host that the caller knows into the reply’s `Location`, and takes out a version (`/v2/`) that the caller did not ask for; NEVER_STRIP and ALWAYS_STRIP say otherwise.',
      example: 'RewriteLocationResponseHeader=AS_IN_REQUEST, Location',
      make: locationOf,
    },
  ],
  [
    'RewriteResponseHeader',
    {
      shape: 'fields',
      fields: ['name', 'regexp', 'replacement'],
      required: 3,
      manual: 'Replaces what the regex finds in a field of the reply; `$\\{name}` stands for a group.',
      example: 'RewriteResponseHeader=X-Response-Red, password=[^&]+, password=***',
      make: rewriteFieldOf,
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
    'SetRequestHeader',
    {
      ...FIELD,
      manual: 'Sends the instance this field once, whatever the caller sent.',
      example: 'SetRequestHeader=X-Env, prod',
      make: part => withField(part, 'request', args => setRequestHeader(part.written.text, args)),
    },
  ],
  [
    'SetRequestHostHeader',
    {
      shape: 'fields',
      fields: ['host'],
      required: 1,
      manual: 'Sends the instance this `Host`.',
      example: 'SetRequestHostHeader=example.org',
      make(part) {
        const host = part.one('host') ?? '';
        const template = templateOf(part, host);
        if (template?.names.length === 0 && !isHost(host)) {
          part.complain('is no host', { hint: 'for example example.org or example.org:8080', piece: host });
          return undefined;
        }
        return template && { filter: setRequestHostHeader(part.written.text, template) };
      },
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
];

/** Fields whose place is the message's frame, the connection or the gateway's own word. */
const OTHER_WAY: ReadonlyMap<string, string> = new Map([
  ['host', 'PreserveHostHeader sends the caller’s, SetRequestHostHeader another; otherwise it is the instance’s own'],
  ['content-length', 'the gateway frames messages itself; `body: { max }` and RequestSize bound them'],
  ['transfer-encoding', 'the gateway frames messages itself'],
  ['connection', 'write `services: { NAME: { connection: { reuse } } }`'],
  ['expect', 'the gateway answers it itself'],
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

function absentFieldsOf(part: Part): MadeFilter | undefined {
  const made = part.all('keyValues').map(text => {
    const at = text.indexOf(':');
    const [name, value] = [text.slice(0, Math.max(0, at)).trim(), text.slice(at + 1).trim()];
    if (at < 1) {
      part.complain('is no name and value', { hint: 'for example X-Env:prod', piece: text });
      return undefined;
    }
    const template = templateOf(part, value);
    return isFree(part, name, 'request') && isFit(part, value) && template ? { name, value: template } : undefined;
  });
  const added = made.filter(each => each !== undefined);
  if (added.length < made.length) return undefined;
  return { filter: addRequestHeadersIfNotPresent(part.written.text, added) };
}

const STRATEGIES = ['RETAIN_FIRST', 'RETAIN_LAST', 'RETAIN_UNIQUE'] as const;

function dedupeOf(part: Part): MadeFilter | undefined {
  const names = (part.one('name') ?? '').split(' ').filter(name => name !== '');
  const strategy = oneOf(part, 'strategy', STRATEGIES);
  const isSound = names.every(name => isFree(part, name, 'reply'));
  return isSound && strategy ? { filter: dedupeResponseHeader(part.written.text, { names, strategy }) } : undefined;
}

/** A word of a list, in any case; the first where none is written. */
function oneOf<W extends string>(part: Part, field: string, words: readonly [W, ...W[]]): W | undefined {
  const written = part.one(field);
  if (written === undefined) return words[0];
  const found = words.find(word => word === written.toUpperCase());
  const nearest = nearestOf(written, words) ?? words.join(', ');
  if (found === undefined)
    part.complain(`${field} is none of its words`, { hint: `did you mean ${nearest}?`, piece: written });
  return found;
}

function headerSizeOf(part: Part): MadeFilter | undefined {
  const bytesMax = sizeOf(part, 'maxSize', 16_000);
  const errorName = part.one('errorHeaderName');
  if (bytesMax === undefined || (errorName !== undefined && !isFree(part, errorName, 'reply'))) return undefined;
  return { filter: requestHeaderSize(part.written.text, { bytesMax, errorName }) };
}

const STRIPPING = ['AS_IN_REQUEST', 'NEVER_STRIP', 'ALWAYS_STRIP'] as const;

function locationOf(part: Part): MadeFilter | undefined {
  const stripVersion = oneOf(part, 'stripVersion', STRIPPING);
  const name = part.one('locationHeaderName') ?? 'Location';
  const host = part.one('hostValue');
  const field = part.one('protocolsRegex') === undefined ? 'protocols' : 'protocolsRegex';
  const protocols = regexOf(part, field);
  const isHostSound = host === undefined || isHost(host);
  if (!isHostSound) part.complain('hostValue is no host', { hint: 'for example example.org', piece: host });
  const isSound =
    isHostSound && (protocols !== undefined || part.one(field) === undefined) && isFree(part, name, 'reply');
  if (!isSound || stripVersion === undefined) return undefined;
  return { filter: rewriteLocationResponseHeader(part.written.text, { stripVersion, name, host, protocols }) };
}

function rewriteFieldOf(part: Part): MadeFilter | undefined {
  const name = part.one('name') ?? '';
  const regex = regexOf(part, 'regexp');
  const replacement = regex && replacementOf(part, regex);
  const isSound = isFree(part, name, 'reply') && isFit(part, part.one('replacement') ?? '');
  if (!isSound || regex === undefined || replacement === undefined) return undefined;
  return { filter: rewriteResponseHeader(part.written.text, { name, regex, replacement }) };
}
