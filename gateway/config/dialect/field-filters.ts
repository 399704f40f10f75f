import { isFieldName, isFieldValue, isHopByHop } from '../../domain/http/fields.ts';
import { isIdentityField } from '../../domain/http/upstream-request.ts';
import type { Filter } from '../../domain/route.ts';
import {
  addResponseHeader,
  removeResponseHeader,
  SECURE_HEADER_NAMES,
  secureHeaders,
  setResponseHeader,
} from '../../domain/routing/reply-filters.ts';
import {
  addRequestHeader,
  preserveHostHeader,
  removeRequestHeader,
  setRequestHeader,
} from '../../domain/routing/request-filters.ts';
import type { Template } from '../../domain/routing/template.ts';
import { nearestOf } from '../nearest.ts';
import { flagOf, templateOf, type FilterDefinition, type MadeFilter, type Part } from './part.ts';

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
  ['host', 'PreserveHostHeader sends the caller’s; otherwise it is the instance’s own'],
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
