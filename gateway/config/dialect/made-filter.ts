import type { Filter } from '../../domain/route.ts';
import { parseTemplate, type Template } from '../../domain/routing/template.ts';
import type { Part, PartDefinition } from './part.ts';

/** A filter, and what it changes about the route instead of about requests. */
export interface MadeFilter {
  readonly filter: Filter;
  readonly bodyBytesMax?: number;
}

/** How a filter takes its values, and what it becomes. */
export type FilterDefinition = PartDefinition<MadeFilter>;

/** A template whose names the route captures. */
export function templateOf(part: Part, text: string): Template | undefined {
  const template = parseTemplate(text);
  const unknown = template.names.filter(name => !part.captured.has(name));
  for (const name of unknown) {
    const known = [...part.captured];
    const hint = known.length === 0 ? 'capture it, for example with Path=/{name}/**' : `captured: ${known.join(', ')}`;
    part.complain(`no predicate of the route captures {${name}}`, { hint, piece: `{${name}` });
  }
  return unknown.length === 0 ? template : undefined;
}

/** A value that is true or false; `otherwise` where it is not given. */
export function flagOf(part: Part, field: string, otherwise: boolean): boolean {
  const text = part.one(field);
  if (text === undefined) return otherwise;
  if (!/^(?:true|false)$/i.test(text)) part.complain(`${field} must be true or false`, { piece: text });
  return text.toLowerCase() === 'true';
}
