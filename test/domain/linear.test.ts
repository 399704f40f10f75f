import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readCredential } from '../../gateway/domain/admission/scheme.ts';
import { anonymousCaller } from '../../gateway/domain/caller.ts';
import { believeForwarded, isHost } from '../../gateway/domain/http/forwarding.ts';
import { preferredCoding } from '../../gateway/domain/http/content-coding.ts';
import { preflightAnswer } from '../../gateway/domain/http/cors.ts';
import { hopByHopOf, listOf, parseHttpDate } from '../../gateway/domain/http/fields.ts';
import { identityFields, hasTraceparent } from '../../gateway/domain/http/upstream-request.ts';
import { isRequestId } from '../../gateway/edges/express/intake.ts';
import { parseRequestTarget } from '../../gateway/domain/http/request-target.ts';
import type { RequestAttributes } from '../../gateway/domain/route.ts';
import { directivesOf } from '../../gateway/domain/sharing/freshness.ts';
import { judgeOf, textScalar } from '../../gateway/domain/validation/column-check.ts';
import { toHeaders } from '../../gateway/edges/proxied-stream.ts';
import { soundRoutes } from '../support/configuration.ts';
import { cpuMs } from '../support/cpu-time.ts';

/** Work that a caller's text of so many characters makes. */
type Work = (length: number) => () => unknown;

const KIB = 1024;

const AS_IS = { mergeSlashes: false };
const MERGED = { mergeSlashes: true };

const repeated = (piece: string, length: number) => piece.repeat(Math.ceil(length / piece.length)).slice(0, length);

function aRequest(traits: Partial<RequestAttributes>): RequestAttributes {
  const blank = {
    method: 'GET',
    path: '/',
    query: '',
    fields: [],
    host: 'a',
    peerAddress: '127.0.0.1',
    callerAddress: '127.0.0.1',
    wallMs: 0,
  };
  return { ...blank, ...traits };
}

/** A predicate as operators write it, asked about a text of the caller's. */
function predicate(text: string, traits: (length: number) => Partial<RequestAttributes>): Work {
  const [made] =
    soundRoutes(`routes: [{ uri: lb://a, predicates: [${JSON.stringify(text)}] }]`).specs[0]?.predicates ?? [];
  return length => {
    const request = aRequest(traits(length));
    return () => made?.holds(request, new Map());
  };
}

/** A filter as operators write it, at work on a caller's request. */
function filter(text: string, traits: (length: number) => Partial<RequestAttributes>): Work {
  const [made] = soundRoutes(`routes: [{ uri: lb://a, filters: [${JSON.stringify(text)}] }]`).specs[0]?.filters ?? [];
  return length => {
    const { path, query, fields } = aRequest(traits(length));
    return () => {
      const draft = { path, query, fields: [...fields], host: undefined, isPrefixed: false };
      made?.onRequest?.(draft, { fields, variables: new Map() } as never);
    };
  };
}

/** A filter at work on what an instance answers. */
function reply(text: string, fieldsOf: (length: number) => string[]): Work {
  const [made] = soundRoutes(`routes: [{ uri: lb://a, filters: [${JSON.stringify(text)}] }]`).specs[0]?.filters ?? [];
  return length => {
    const fields = fieldsOf(length);
    return () =>
      made?.onReply?.({ status: 200, fields: [...fields] }, { host: 'b', path: '/', variables: new Map() } as never);
  };
}

/** So many characters as lines of one field. */
const fieldsOf64 = (length: number) =>
  Array.from({ length: Math.floor(length / 2) }, (_, i) => (i % 2 ? String(i) : 'A'));

const field =
  (name: string, piece: string, end = '') =>
  (length: number) => ({
    fields: [name, `${piece === '' ? '' : repeated(piece, length)}${end}`],
  });

const CORS = {
  ...{
    origins: new Set(['https://a']),
    methods: ['*'],
    headers: ['*'],
    credentials: true,
    expose: [],
    maxAgeSeconds: 1,
  },
};

const cases: Readonly<Record<string, Work>> = {
  'Header: quotes that are escaped': predicate('Header=X, z', length => ({
    fields: ['X', `"${repeated('\\"', length)}`],
  })),
  'Header: quotes': predicate('Header=X, z', field('X', '"')),
  'Header: quotes and commas': predicate('Header=X, z', field('X', '",')),
  'Header: a pattern that might try all ways': predicate('Header=X, (a*)*b', field('X', 'a')),
  'Cookie: pairs': predicate('Cookie=a, z', field('Cookie', 'a="b;')),
  'Cookie: spaces': predicate('Cookie=a, z', field('Cookie', ' ', '=')),
  'Query: parameters': predicate('Query=a, z', length => ({ query: repeated('a=b&', length) })),
  'Query: broken escapes': predicate('Query=a, z', length => ({ query: repeated('%a+', length) })),
  'Path: parts': predicate('Path=/**', length => ({ path: repeated('/a', length) })),
  'Path: parts before a rest': predicate('Path=/**/b/{c}/d', length => ({ path: repeated('/b', length) })),
  'Path: stars in a part': predicate('Path=/*a*a*a*b', length => ({ path: `/${repeated('a', length)}` })),
  'Path: captures in a part': predicate('Path=/{a}-{b}-{c}.x', length => ({ path: `/${repeated('-', length)}` })),
  'Path: a regex': predicate('Path=/{a:(?:x*)*}y', length => ({ path: `/${repeated('x', length)}` })),
  'Path: escapes': predicate('Path=/{*rest}', length => ({ path: repeated('/%e2', length) })),
  'Host: parts': predicate('Host=**.a.**.b.**.example.org', length => ({ host: repeated('a.b.', length) })),
  'Host: stars': predicate('Host=**.*a*b*.org', length => ({ host: `${repeated('a', length)}.org` })),
  'Host: braces': predicate('Host={a}.**.b', length => ({ host: repeated('{', length) })),
  'Host: ports': predicate('Host=a', length => ({ host: repeated(':1', length) })),
  'Weight: a cookie': predicate('Weight=g, 1', field('Cookie', 'a="b;')),
  'RequestHeaderSize: many fields': filter('RequestHeaderSize=1GB', length => ({ fields: fieldsOf64(length) })),
  'RemoveRequestParameter: parameters': filter('RemoveRequestParameter=a', length => ({
    query: repeated('a=%a&', length),
  })),
  'RewriteRequestParameter: parameters': filter('RewriteRequestParameter=a, b', length => ({
    query: repeated('&%61=', length),
  })),
  'MapRequestHeader: lines': filter('MapRequestHeader=A, B', length => ({ fields: fieldsOf64(length) })),
  'RewritePath: a pattern that might try all ways': filter('RewritePath=(a*)*b, c', length => ({
    path: `/${repeated('a', length)}`,
  })),
  'RewriteResponseHeader: a pattern that might try all ways': reply('RewriteResponseHeader=A, (a*)*b, c', length => [
    'A',
    repeated('a', length),
  ]),
  'RewriteLocationResponseHeader: versions': reply('RewriteLocationResponseHeader=ALWAYS_STRIP', length => [
    'Location',
    `http://a/${repeated('/v1', length)}`,
  ]),
  'DedupeResponseHeader: lines': reply('DedupeResponseHeader=A, RETAIN_UNIQUE', length => fieldsOf64(length)),
  RemoteAddr: predicate('RemoteAddr=fd00::/8', length => ({ peerAddress: repeated('1:', length) })),
  'a target': length => () => parseRequestTarget(`/${repeated('%2e/', length)}`, AS_IS),
  'a target of slashes': length => () => parseRequestTarget(`${repeated('/a%25', length)}//`, MERGED),
  'an absolute target': length => () => parseRequestTarget(`http://${repeated(':', length)}`, AS_IS),
  'a target of bytes': length => () => parseRequestTarget(`/${repeated('\xe9', length)}`, AS_IS),
  'a target to be merged': length => () => parseRequestTarget(repeated('/', length), MERGED),
  'a host': length => () => isHost(`${repeated('a', length)}:`),
  'elements of Forwarded': length => {
    const seen = { peerAddress: '10.0.0.1', scheme: 'http', host: 'a' } as const;
    const trusting = (value: string) => believeForwarded(['Forwarded', value], seen, () => 'trusted');
    return () => [
      trusting(repeated('for=10.0.0.1,', length)),
      trusting(repeated('"', length - 1)),
      trusting(repeated('=";', length)),
      trusting(repeated('a', length)),
    ];
  },
  'addresses on the way': length => {
    const fields = ['X-Forwarded-For', repeated('10.0.0.1, ', length), 'X-Forwarded-Host', repeated('[:', length)];
    const seen = { peerAddress: '10.0.0.1', scheme: 'http', host: 'a' } as const;
    return () => believeForwarded(fields, seen, () => 'trusted');
  },
  'lines of one field, for a stream': length => {
    const fields = Array.from({ length: length / 2 }, (_, i) => (i % 2 === 0 ? 'a' : ''));
    return () => toHeaders(fields);
  },
  'a number in a column': length => {
    const value = textScalar(`${repeated('1', length)}x`);
    return () => [judgeOf('numeric', [])?.(value), judgeOf('integer', [])?.(value)];
  },
  'a date in a column': length => {
    const value = textScalar(repeated('1-', length));
    return () => judgeOf('Date', [])?.(value);
  },
  'codings that are accepted': length => {
    const fields = ['Accept-Encoding', repeated('gzip;q=0.1;,', length)];
    return () => preferredCoding(fields);
  },
  'a list': length => () => listOf(['A', repeated(' ,', length)], 'a'),
  'names of fields': length => () => hopByHopOf(['Connection', repeated('a,', length)]),
  'a credential': length => () => readCredential(['Authorization', `Basic${repeated(' ', length)}\n`]),
  'a subject of spaces': length => () =>
    identityFields({ ...anonymousCaller('10.0.0.1'), subject: `a${repeated(' ', length)}é` }),
  'a trace': length => () => hasTraceparent(['traceparent', `00-${repeated('0', length)}`]),
  'an id': length => () => isRequestId(repeated('a', length)),
  'a date': length => () => parseHttpDate(`Sun, ${repeated('0', length)}`),
  directives: length => () => directivesOf(['Cache-Control', repeated('a="\\"', length)]),
  'a preflight': length => () =>
    preflightAnswer(CORS, ['Origin', 'https://a', 'Access-Control-Request-Headers', repeated('a,', length)]),
};

/** The least of several runs: what the work costs when nothing else is in its way. */
function leastMs(work: () => unknown): number {
  let least = Infinity;
  for (let run = 0; run < 5; run++) least = Math.min(least, cpuMs(work));
  return least;
}

/** Eight times the text makes eight times the work; where it makes the square, 64 times. */
const RATIO_MAX = 24;
/** Too little to tell: the square of 64 KiB are four billion steps, which no processor does in so short a time. */
const NOTHING_MS = 300;

describe('what a caller sends is read in time that grows with its length, and no faster:', () => {
  for (const [what, work] of Object.entries(cases)) {
    test(what, () => {
      const largeMs = leastMs(work(64 * KIB));
      const smallMs = leastMs(work(8 * KIB));

      assert.ok(largeMs < NOTHING_MS || largeMs / smallMs < RATIO_MAX, `${smallMs} ms, then ${largeMs} ms`);
    });
  }
});

test('a host is no longer than a name can be', () => {
  assert.deepEqual([isHost('a'.repeat(255)), isHost('a'.repeat(256))], [true, false]);
});
