import type { Filter } from '../../domain/route.ts';
import {
  addRequestParameter,
  prefixPath,
  removeRequestParameter,
  rewritePath,
  rewriteRequestParameter,
  setPath,
  stripPrefix,
} from '../../domain/routing/request-filters.ts';
import type { Template } from '../../domain/routing/template.ts';
import { regexOf, replacementOf, templateOf, type FilterDefinition, type MadeFilter, type Part } from './part.ts';

/** Filters that change path and query, by name. */
export const TARGET_FILTERS: readonly (readonly [string, FilterDefinition])[] = [
  [
    'AddRequestParameter',
    {
      shape: 'fields',
      fields: ['name', 'value'],
      required: 2,
      manual: 'Adds a parameter to the query, as it is written here: encoded.',
      example: 'AddRequestParameter=red, blue',
      make: parameterOf,
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
    'RemoveRequestParameter',
    {
      shape: 'fields',
      fields: ['name'],
      required: 1,
      manual: 'Takes a parameter out of the query.',
      example: 'RemoveRequestParameter=red',
      make: part => ({ filter: removeRequestParameter(part.written.text, part.one('name') ?? '') }),
    },
  ],
  [
    'RewritePath',
    {
      shape: 'fields',
      fields: ['regexp', 'replacement'],
      required: 2,
      manual:
        'Replaces what the regex finds in the path, encoded as it is sent (docs/paths.md); `$\\{name}` stands for a group.',
      example: 'RewritePath=/api/?(?<rest>.*), /$\\{rest}',
      make: rewriteOf,
    },
  ],
  [
    'RewriteRequestParameter',
    {
      shape: 'fields',
      fields: ['name', 'replacement'],
      required: 2,
      manual: 'Gives a parameter that is in the query another value, as it is written here: encoded.',
      example: 'RewriteRequestParameter=campaign, fall2023',
      make: otherValueOf,
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
];

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
  const isSound = [name, text].every(piece => isEncoded(part, piece));
  const value = templateOf(part, text);
  return isSound && value ? { filter: addRequestParameter(part.written.text, { name, value }) } : undefined;
}

function otherValueOf(part: Part): MadeFilter | undefined {
  const [name = '', value = ''] = [part.one('name'), part.one('replacement')];
  if (!isEncoded(part, value)) return undefined;
  return { filter: rewriteRequestParameter(part.written.text, { name, value }) };
}

function isEncoded(part: Part, piece: string): boolean {
  if (/^[!$%&'()*+,./0-9:;=?@A-Z_a-z{}~-]*$/.test(piece)) return true;
  part.complain('must be written as it stands in a URL, percent-encoded', { piece });
  return false;
}

function rewriteOf(part: Part): MadeFilter | undefined {
  const regex = regexOf(part, 'regexp');
  if (regex === undefined) return undefined;
  const replacement = replacementOf(part, regex);
  if (replacement === undefined) return undefined;
  if (replacement.some(piece => typeof piece === 'string' && /[#\s]/.test(piece))) {
    part.complain('replacement is a path: no fragment or space', { piece: part.one('replacement') });
    return undefined;
  }
  return { filter: rewritePath(part.written.text, { regex, replacement }) };
}

function stripPrefixOf(part: Part): MadeFilter | undefined {
  const text = part.one('parts') ?? '1';
  if (/^\d{1,3}$/.test(text)) return { filter: stripPrefix(part.written.text, Number(text)) };
  part.complain('parts must be a whole number', { piece: text });
  return undefined;
}
