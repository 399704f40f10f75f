import { isAddressRange } from '../../domain/http/address-range.ts';
import { isFieldName } from '../../domain/http/fields.ts';
import {
  parseHostPattern,
  after,
  before,
  between,
  cookie,
  header,
  host,
  method,
  path,
  query,
  remoteAddr,
  weight,
  xForwardedRemoteAddr,
} from '../../domain/routing/predicates.ts';
import { parsePathPattern } from '../../domain/routing/path-pattern.ts';
import { isProblem, type RegexProblem } from '../../domain/routing/regex.ts';
import type { Predicate, RouteSpec, Weight, WeightKey } from '../../domain/route.ts';
import { nearestOf } from '../nearest.ts';
import { isNamedKey, keyOf } from '../schema/service.ts';
import { regexOf, type Part, type PartDefinition } from './part.ts';

/** A predicate, and what the route table and the filters need to know of it. */
export interface MadePredicate {
  readonly predicate: Predicate;
  readonly captures?: readonly string[];
  readonly paths?: RouteSpec['paths'];
  readonly methods?: readonly string[];
  readonly weight?: Weight;
}

const INSTANT_HINT =
  'for example 2026-01-20T17:42:47.789-07:00[America/Denver], 2026-01-20T17:42:47Z or milliseconds since 1970';
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'];

/** The predicates there are, by name. */
export const PREDICATES: ReadonlyMap<string, PartDefinition<MadePredicate>> = new Map([
  [
    'After',
    {
      shape: 'fields',
      fields: ['datetime'],
      required: 1,
      manual: 'The request comes after this instant.',
      example: 'After=2026-01-20T17:42:47.789-07:00[America/Denver]',
      make: part => made(part, instantOf(part, 'datetime'), after),
    },
  ],
  [
    'Before',
    {
      shape: 'fields',
      fields: ['datetime'],
      required: 1,
      manual: 'The request comes before this instant.',
      example: 'Before=2026-12-31T23:59:59Z',
      make: part => made(part, instantOf(part, 'datetime'), before),
    },
  ],
  [
    'Between',
    {
      shape: 'fields',
      fields: ['datetime1', 'datetime2'],
      required: 2,
      manual: 'The request comes after the first instant and before the second.',
      example: 'Between=2026-01-01T00:00:00Z, 2026-12-31T23:59:59Z',
      make: part => made(part, rangeOf(part), between),
    },
  ],
  [
    'Cookie',
    {
      shape: 'fields',
      fields: ['name', 'regexp'],
      required: 2,
      manual: 'A cookie of that name has a value that the regex matches whole.',
      example: 'Cookie=chocolate, ch.p',
      make(part) {
        const regex = regexOf(part, 'regexp');
        return regex && made(part, { name: part.one('name') ?? '', regex }, cookie);
      },
    },
  ],
  [
    'Header',
    {
      shape: 'fields',
      fields: ['header', 'regexp'],
      required: 1,
      manual: 'The field is there; with a regex, one of its values matches it whole.',
      example: 'Header=X-Request-Id, \\d+',
      make(part) {
        const name = part.one('header') ?? '';
        if (!isFieldName(name)) part.complain('is no name of a header field', { piece: name });
        const regex = regexOf(part, 'regexp');
        const isSound = isFieldName(name) && (regex !== undefined || part.one('regexp') === undefined);
        return isSound ? made(part, { name, regex }, header) : undefined;
      },
    },
  ],
  [
    'Host',
    {
      shape: 'list',
      fields: ['patterns'],
      required: 1,
      named: ['includePort'],
      manual: 'The host, with its port as the caller sent it, matches one of the patterns; `{name}` captures.',
      example: 'Host=**.example.org, {sub}.example.com',
      make: hostOf,
    },
  ],
  [
    'Method',
    {
      shape: 'list',
      fields: ['methods'],
      required: 1,
      manual: 'The method is one of these; HEAD wherever GET is.',
      example: 'Method=GET,POST',
      make: methodOf,
    },
  ],
  [
    'Path',
    {
      shape: 'list',
      fields: ['patterns'],
      required: 1,
      named: ['matchTrailingSlash'],
      manual: 'The path matches one of the patterns: `{name}`, `{name:regex}`, `*`, `?`, `**`, `{*rest}`.',
      example: 'Path=/api/fuel/**, /old/{model}',
      make: pathOf,
    },
  ],
  [
    'Query',
    {
      shape: 'fields',
      fields: ['param', 'regexp'],
      required: 1,
      manual: 'The parameter is there; with a regex, one of its values matches it whole.',
      example: 'Query=red, gree.',
      make(part) {
        const regex = regexOf(part, 'regexp');
        const isSound = regex !== undefined || part.one('regexp') === undefined;
        return isSound ? made(part, { param: part.one('param') ?? '', regex }, query) : undefined;
      },
    },
  ],
  [
    'RemoteAddr',
    {
      shape: 'list',
      fields: ['sources'],
      required: 1,
      manual: 'The connection comes from one of these addresses or ranges.',
      example: 'RemoteAddr=192.168.1.1/24, 10.1.2.3',
      make: part => addressesOf(part, remoteAddr),
    },
  ],
  [
    'Weight',
    {
      shape: 'fields',
      fields: ['weight.group', 'weight.weight'],
      required: 0,
      named: ['group', 'weight', 'by'],
      manual:
        'Of the routes of a group whose other predicates hold one is drawn, as often as its weight says; `by: ip`, `cookie:NAME` or `header:NAME` in its `args` keeps a caller on its side.',
      example: 'Weight=group1, 8',
      make: weightOf,
    },
  ],
  [
    'XForwardedRemoteAddr',
    {
      shape: 'list',
      fields: ['sources'],
      required: 1,
      named: ['maxTrustedIndex'],
      manual:
        'The caller is at one of these addresses or ranges, as `X-Forwarded-For` says where `listen.trustedProxies` justify it.',
      example: 'XForwardedRemoteAddr=192.168.1.1/24',
      make(part) {
        const hint = 'write `listen: { trustedProxies: [10.0.0.0/8] }` in gateway.yaml';
        if (part.one('maxTrustedIndex') !== undefined)
          part.complain('maxTrustedIndex has no effect: proxies are trusted by address', { severity: 'warning', hint });
        return addressesOf(part, xForwardedRemoteAddr);
      },
    },
  ],
] satisfies [string, PartDefinition<MadePredicate>][]);

function made<A>(
  part: Part,
  args: A | undefined,
  create: (text: string, args: A) => Predicate,
): MadePredicate | undefined {
  return args === undefined ? undefined : { predicate: create(part.written.text, args) };
}

function instantOf(part: Part, field: string): number | undefined {
  const text = part.one(field) ?? '';
  const ms = epochMsOf(text);
  if (ms === undefined)
    part.complain(`${field} is no date and time with an offset`, { hint: INSTANT_HINT, piece: text });
  return ms;
}

/**
 * Java's ZonedDateTime text (`2017-01-20T17:42:47.789-07:00[America/Denver]`) or milliseconds since 1970, as the latter.
 * The offset decides; the region after it is only a name.
 */
function epochMsOf(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  try {
    return Temporal.Instant.from(text).epochMilliseconds;
  } catch {
    return undefined; // no such day or hour, or no offset
  }
}

function rangeOf(part: Part): { fromMs: number; toMs: number } | undefined {
  const [fromMs, toMs] = [instantOf(part, 'datetime1'), instantOf(part, 'datetime2')];
  if (fromMs === undefined || toMs === undefined) return undefined;
  if (fromMs < toMs) return { fromMs, toMs };
  part.complain('datetime1 must be before datetime2');
  return undefined;
}

/** Every pattern of the list, or nothing after saying what is wrong with which. */
function patternsOf<P extends object>(
  part: Part,
  texts: readonly string[],
  parse: (text: string) => P | RegexProblem,
): P[] | undefined {
  const patterns: P[] = [];
  for (const text of texts) {
    const pattern = parse(text);
    if (isProblem(pattern)) part.complain(pattern.problem, { piece: pattern.piece === '' ? text : pattern.piece });
    else patterns.push(pattern);
  }
  return patterns.length === texts.length ? patterns : undefined;
}

function hostOf(part: Part): MadePredicate | undefined {
  const patterns = patternsOf(part, part.all('patterns'), text => parseHostPattern(text, part.compileRegex));
  if (patterns === undefined) return undefined;
  const includePort = part.one('includePort') !== 'false';
  const captures = patterns.flatMap(pattern => pattern.names);
  return { predicate: host(part.written.text, { patterns, includePort }), captures };
}

function methodOf(part: Part): MadePredicate | undefined {
  const methods = part.all('methods');
  for (const each of methods.filter(name => !/^[A-Z][A-Z-]*$/.test(name))) {
    const nearest = nearestOf(each, METHODS);
    part.complain('methods are written in capitals', { hint: nearest && `did you mean ${nearest}?`, piece: each });
  }
  const odd = methods.find(name => /^[A-Z][A-Z-]*$/.test(name) && !METHODS.includes(name));
  if (odd !== undefined) {
    const nearest = nearestOf(odd, METHODS);
    const hint = nearest && `did you mean ${nearest}?`;
    part.complain('is a method that is not in use', { severity: 'warning', hint, piece: odd });
  }
  const isSound = methods.every(name => /^[A-Z][A-Z-]*$/.test(name));
  return isSound ? { predicate: method(part.written.text, methods), methods } : undefined;
}

/** A last value of true or false is Spring's `matchTrailingSlash`, which it no longer reads; nor is it read here. */
function pathOf(part: Part): MadePredicate | undefined {
  const values = part.all('patterns');
  const hasFlag = /^(?:true|false)$/.test(values.at(-1) ?? '') && values.length > 1;
  if (part.one('matchTrailingSlash') === 'true' || (hasFlag && values.at(-1) === 'true')) {
    const hint = 'list both spellings: `Path=/red, /red/`';
    part.complain('matchTrailingSlash has no effect: a slash at the end counts', { severity: 'warning', hint });
  }
  const texts = hasFlag ? values.slice(0, -1) : values;
  const patterns = patternsOf(part, texts, text => parsePathPattern(text, part.compileRegex));
  if (patterns === undefined) return undefined;
  const captures = patterns.flatMap(pattern => pattern.names);
  return { predicate: path(part.written.text, patterns), captures, paths: patterns };
}

function addressesOf(
  part: Part,
  create: (text: string, ranges: readonly string[]) => Predicate,
): MadePredicate | undefined {
  const ranges = part.all('sources');
  const wrong = ranges.filter(text => !isAddressRange(text));
  for (const piece of wrong) {
    part.complain('is no address or range', { hint: 'write 192.168.1.0/24, or fd00::/8', piece });
  }
  return wrong.length === 0 ? { predicate: create(part.written.text, ranges) } : undefined;
}

function weightOf(part: Part): MadePredicate | undefined {
  const group = part.one('weight.group') ?? part.one('group');
  const text = part.one('weight.weight') ?? part.one('weight');
  if (group === undefined || text === undefined) {
    part.complain('a group and a weight are wanted', { hint: 'for example Weight=group1, 8' });
    return undefined;
  }
  if (!/^\d{1,7}$/.test(text)) {
    part.complain('a weight is a whole number', { hint: 'for example 8', piece: text });
    return undefined;
  }
  const by = weightKeyOf(part);
  if (by === 'wrong') return undefined;
  return { predicate: weight(part.written.text), weight: { group, weight: Number(text), by } };
}

function weightKeyOf(part: Part): WeightKey | 'wrong' | undefined {
  const written = part.one('by');
  if (written === undefined) return undefined;
  if (written === 'ip') return { kind: 'ip' };
  if (isNamedKey(written, ['header', 'cookie'])) {
    const { kind, name } = keyOf(written);
    return kind === 'header' ? { kind, name: name.toLowerCase() } : { kind: 'cookie', name };
  }
  part.complain('by is none of ip, cookie:NAME, header:NAME', { hint: 'for example cookie:session', piece: written });
  return 'wrong';
}
