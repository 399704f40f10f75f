import { fieldOf, fieldsOf, type RawFields } from '../http/fields.ts';

/**
 * How R takes a body: as JSON beyond doubt; as JSON or as nothing at all, by what the service makes of it; or by bytes
 * that only the service understands.
 */
export type BodyReading = 'json' | 'json-or-nothing' | 'bytes';

/**
 * How R takes a body, looking at it as Plumber does.
 *
 * Without a type its first byte tells. As a form a text without `=` holds nothing, so that only a service that reads
 * JSON out of it all the same, as those do that R's own clients are to reach, can make anything of it.
 */
export function bodyReadingOf(fields: RawFields, content: Buffer): BodyReading {
  const contentType = fieldOf(fields, 'content-type');
  if (contentType === undefined) return looksLikeJson(content) ? 'json' : 'bytes';
  if (isSaidTwice(fields)) return 'bytes';
  if (isJsonType(contentType)) return 'json';
  const [mediaType = ''] = contentType.toLowerCase().split(';', 1);
  const isForm = mediaType.trim() === 'application/x-www-form-urlencoded' || mediaType.trim().endsWith('+json');
  return isForm && looksLikeJson(content) && !content.includes(EQUALS) ? 'json-or-nothing' : 'bytes';
}

function isSaidTwice(fields: RawFields): boolean {
  return fields.length > 2 && fieldsOf(fields, 'content-type').length > 1;
}

/** JSON in UTF-8, as it is unless it says otherwise. */
function isJsonType(contentType: string): boolean {
  return contentType === 'application/json' || JSON_TYPE.test(contentType);
}

const JSON_TYPE = /^(?:application|text)\/json[ \t]*(?:;[ \t]*charset="?utf-?8"?[ \t]*)?$/i;

const EQUALS = 0x3d;

function looksLikeJson(content: Buffer): boolean {
  return content[0] === 0x5b || content[0] === 0x7b;
}
