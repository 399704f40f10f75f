import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { routesOf, soundRoutes, reported } from '../support/configuration.ts';

const policyOf = (keys: string) => soundRoutes(`routes: [{ uri: lb://a, ${keys} }]`).specs[0]?.policy ?? assert.fail();
const sharingOf = (keys: string) => policyOf(keys).sharing;
const POST = 'predicates: ["Method=POST"], pure: true';

describe('what callers share', () => {
  test('is nothing unless it is written', () => {
    const { sharing, priority } = policyOf('pure: true');

    assert.deepEqual([sharing, priority], [undefined, 'normal']);
  });

  test('as documented means what it says', () => {
    const sharing = sharingOf(`pure: true, coalesce: true, varyBy: [caller, 'header:Accept-Language'],
      cache: { ttl: 60s, entriesMax: 1024, bytesMax: 64MiB, staleIfError: 0s, methods: [GET, HEAD, POST] },
      batch: { sizeMax: 64, waitMax: 0ms, rows: array, recheck: 1%, rowsIndependent: false }`);

    assert.deepEqual(sharing, {
      coalesce: true,
      cache: {
        ttlMs: 60_000,
        entriesMax: 1_024,
        bytesMax: 67_108_864,
        staleIfErrorMs: 0,
        methods: new Set(['GET', 'HEAD', 'POST']),
      },
      batch: { sizeMax: 64, waitMsMax: 0, rows: 'array', recheckShare: 0.01, rowsIndependent: false },
      varyBy: [{ kind: 'caller' }, { kind: 'header', name: 'accept-language' }],
      methods: new Set(['GET', 'HEAD', 'POST']),
    });
    assert.deepEqual(sharingOf('pure: true, coalesce: true, cache: {}, batch: {}'), { ...sharing, varyBy: [] });
  });

  test('has other values where they are written', () => {
    assert.deepEqual(
      sharingOf(`${POST}, batch: { sizeMax: 2, waitMax: 5ms, rows: columns, recheck: 0.5%, rowsIndependent: true }`)
        ?.batch,
      {
        sizeMax: 2,
        waitMsMax: 5,
        rows: 'columns',
        recheckShare: 0.005,
        rowsIndependent: true,
      },
    );
    const cache = sharingOf('predicates: ["Method=GET"], cache: { ttl: http, entriesMax: 2, staleIfError: 1h }')?.cache;
    assert.deepEqual([cache?.ttlMs, cache?.entriesMax, cache?.staleIfErrorMs], ['http', 2, 3_600_000]);
    assert.equal(policyOf('priority: high').priority, 'high');
    const fair = (keys: string) =>
      soundRoutes(`services: { a: { queue: { ${keys} } } }\nroutes: [{ uri: lb://a }]`).services.get('a')?.isFair;
    assert.deepEqual([fair(''), fair('fair: caller'), fair('fair: none')], [true, true, false]);
  });

  test('is shared by those methods alone that share something', () => {
    const methodsOf = (keys: string) => [...(sharingOf(keys)?.methods ?? [])];

    assert.deepEqual(methodsOf('predicates: ["Method=GET"], coalesce: true'), ['GET', 'HEAD']);
    assert.deepEqual(methodsOf('pure: true, coalesce: true'), ['GET', 'HEAD', 'POST']);
    assert.deepEqual(methodsOf('pure: true, batch: {}'), ['POST']);
    assert.deepEqual(methodsOf('pure: true, cache: { methods: [GET] }'), ['GET']);
    assert.deepEqual(methodsOf(`${POST}, cache: {}`), ['POST']);
    assert.deepEqual(methodsOf('pure: true, cache: { ttl: http }'), ['GET', 'HEAD']);
  });

  test('may stand among the defaults, for those routes that can', () => {
    const { specs } = soundRoutes(`
defaults: { coalesce: true, batch: {}, cache: {}, varyBy: [caller], pure: true }
routes:
  - { uri: lb://a }
  - { uri: lb://a, coalesce: false }
  - { uri: lb://a, stream: true }
`);

    assert.deepEqual(
      specs.map(({ policy }) => policy.sharing?.coalesce),
      [true, false, undefined],
    );
  });
});

describe('what would share nothing', () => {
  test('is no problem of a route where it stands among the defaults', () => {
    const { problems } = routesOf(`
defaults: { coalesce: true, batch: {}, cache: {}, varyBy: [caller], pure: true }
routes: [{ uri: lb://a, predicates: [Method=PUT] }]
`);

    assert.deepEqual(reported(problems), []);
  });

  const rows: readonly (readonly [keys: string, problems: readonly string[]])[] = [
    ['coalesce: true', ['coalesce: does not share POST: that is done only where `pure: true`']],
    ['cache: {}', ['cache: does not store answers to POST: that is done only where `pure: true`']],
    ['cache: { ttl: http }', []],
    ['batch: {}', ['batch: has no effect: only POST is batched, and only where `pure: true`']],
    ['predicates: ["Method=GET"], coalesce: true, cache: {}', []],
    [
      'predicates: ["Method=PUT"], coalesce: true',
      ['coalesce: has no effect: the route takes no method that is ever shared'],
    ],
    [
      'predicates: ["Method=GET"], batch: {}, pure: true',
      ['batch: has no effect: only POST is batched, and the route takes none'],
    ],
    ['cache: { methods: [POST] }', ['cache: has no effect: POST is cached only where `pure: true`']],
    ['pure: true, cache: { ttl: http, methods: [POST] }', ['cache: has no effect: `ttl: http` is for GET and HEAD']],
    [
      'predicates: ["Method=POST"], pure: true, cache: { methods: [GET] }',
      ['cache: has no effect: the route takes none of its methods'],
    ],
    ['varyBy: [caller]', ['varyBy: has no effect: the route shares nothing']],
    ['stream: true, coalesce: true', ['coalesce: has no effect: the route is a stream']],
  ];
  for (const [keys, problems] of rows) {
    test(`is ${problems.length === 0 ? 'no problem' : 'warned of'}: ${keys}`, () => {
      const received = reported(routesOf(`routes: [{ uri: lb://a, ${keys} }]`).problems).map(line =>
        line.replace(/^\S+ /, ''),
      );

      assert.deepEqual(
        received,
        problems.map(problem => `warning routes[0].${problem}`),
      );
    });
  }
});

describe('a token that shall be passed on', () => {
  const reportedOf = (keys: string) =>
    reported(
      routesOf(`routes: [{ uri: lb://a, auth: { forwardToken: true }, ${keys} }]`, { identityConfigured: true })
        .problems,
    );

  test('is warned of where requests are shared, since the instance does not get it there', () => {
    assert.deepEqual(reportedOf('cache: { methods: [GET] }'), [
      '1:47 warning routes[0].auth.forwardToken: has no effect on requests that are shared: the instance is not sent the token',
    ]);
  });

  test('is no problem where requests share only with those of the same token, or not at all', () => {
    assert.deepEqual(reportedOf("cache: { methods: [GET] }, varyBy: ['header:Authorization']"), []);
    assert.deepEqual(reportedOf('timeout: 1s'), []);
  });
});

describe('what cannot be shared so', () => {
  const rows: readonly (readonly [keys: string, said: RegExp])[] = [
    ['coalesce: yes please', /coalesce/],
    ['cache: { ttl: soon }', /routes\[0\]\.cache\.ttl: must be a duration/],
    ['cache: { methods: [PUT] }', /routes\[0\]\.cache\.methods\[0\]/],
    ['cache: { methods: [] }', /routes\[0\]\.cache\.methods/],
    ['cache: { entriesMax: 0 }', /routes\[0\]\.cache\.entriesMax/],
    ['cache: { tll: 1s }', /unknown key `tll`/],
    ['batch: { sizeMax: 1 }', /routes\[0\]\.batch\.sizeMax/],
    ['batch: { waitMax: 11s }', /routes\[0\]\.batch\.waitMax/],
    ['batch: { rows: frames }', /routes\[0\]\.batch\.rows/],
    ['varyBy: [cookie:a]', /routes\[0\]\.varyBy\[0\]: must be caller or header:NAME/],
    ['varyBy: ["header:a b"]', /routes\[0\]\.varyBy\[0\]/],
    ['varyBy: caller', /routes\[0\]\.varyBy/],
    ['priority: urgent', /routes\[0\]\.priority/],
  ];
  for (const [keys, said] of rows) {
    test(`is refused: ${keys}`, () => {
      const received = reported(routesOf(`routes: [{ uri: lb://a, pure: true, ${keys} }]`).problems);

      assert.equal(received.length, 1, received.join());
      assert.match(received[0] ?? '', / error /);
      assert.match(received[0] ?? '', said);
    });
  }

  test('is told what else it may be: how long an answer is stored', () => {
    const [problem] = routesOf('routes: [{ uri: lb://a, cache: { ttl: htpp } }]').problems;

    assert.match(problem?.hint ?? '', /; or http$/);
  });

  test('is refused: a queue that is fair to instances', () => {
    const received = reported(
      routesOf('services: { a: { queue: { fair: instance } } }\nroutes: [{ uri: lb://a }]').problems,
    );

    assert.match(received.join(), /error services\.a\.queue\.fair/);
  });
});
