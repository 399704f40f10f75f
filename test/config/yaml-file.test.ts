import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Alias } from 'yaml';
import { problemLine, renderProblems } from '../../gateway/config/problem.ts';
import { gatewayOf, routesOf, soundRoutes, reported } from '../support/configuration.ts';

const GATEWAY = 'listen: { port: 1 }\n';

describe('what stands in a file and is not understood is an error with its place:', () => {
  const SECOND = 'a second document begins: a file is one document';
  const TAG = 'tags are not understood here';
  const rows: [what: string, text: string, problems: string[]][] = [
    ['what is not UTF-8', `${GATEWAY}# gr\uFFFD\uFFFDe`, ['2:5 error what stands here is not UTF-8']],
    ['a second document', `${GATEWAY}---\nidentity: {}\n`, [`2:1 error ${SECOND}`]],
    ['an empty second document', `${GATEWAY}---\n`, [`2:1 error ${SECOND}`]],
    ['a document after the end of the first', `${GATEWAY}...\nidentity: {}\n`, [`3:1 error ${SECOND}`]],
    ['a second document after an empty one', `---\n---\n${GATEWAY}`, [`2:1 error ${SECOND}`]],
    ['an unknown key without a value', 'identiy:\n', ['1:1 error identiy: unknown key `identiy`']],
    ['one further down', 'listen:\n  prot:\n', ['2:3 error listen.prot: unknown key `prot`']],
    [
      'one in a list',
      'identity: { jwt: [{ isuer: }] }',
      [
        '1:19 error identity.jwt[0].issuer: is missing',
        '1:19 error identity.jwt[0].algorithms: is missing',
        '1:21 error identity.jwt[0].isuer: unknown key `isuer`',
      ],
    ],
    ['an ordered map', '!!omap\n- listen: {}\n', [`2:1 error ${TAG}`, '2:1 error must be a map of keys']],
    ['a set', '!!set\n? listen\n', [`2:1 error ${TAG}`]],
    ['a tag of one’s own', 'routes: !env ROUTES\n', [`1:9 error routes: ${TAG}`]],
    [
      'a tag of binary data',
      'routes: !!binary aGk=\n',
      [`1:18 error routes: ${TAG}`, '1:18 error routes: must be text'],
    ],
    ['a tag at a key', '!x routes: a\n', [`1:1 error ${TAG}`]],
    [
      'another version of YAML',
      '%YAML 1.1\n---\nlog: { access: true }\n',
      ['1:1 error is read as YAML 1.2, and no other'],
    ],
    ['a directive', '%FOO bar\n---\nlog: {}\n', ['1:1 error directives are not understood here']],
    ['a key that is a list', '? [a]\n: 1\n', ['1:3 error a key must be text']],
    ['a key that is nothing', '~: 1\n', ['1:1 error a key must be text']],
    [
      'a merge key',
      'x-a: &a { port: 1 }\nlisten: { <<: *a }\n',
      ['2:11 error listen.<<: merge keys are not part of YAML 1.2'],
    ],
    [
      'a key that stands twice',
      'listen:\n  port: 1\n  "port": 2\n',
      ['3:3 error listen.port: this key is there already'],
    ],
    ['an alias of nothing', 'routes: *nobody\n', ['1:9 error routes: no anchor before it has the name of this alias']],
    [
      'an alias of itself',
      'listen: &l\n  host: *l\n',
      ['2:9 error listen.host: the alias stands within what it stands for'],
    ],
    [
      'an alias of what is around it',
      'listen: &l { trustedProxies: [*l] }\n',
      [
        '1:31 error listen.trustedProxies[0]: the alias stands within what it stands for',
        '1:31 error listen.trustedProxies[0]: must be text',
      ],
    ],
    ['an escape that is none', 'routes: "a\\q"\n', ['1:11 error routes: within "…" a backslash begins an escape']],
    [
      'a bracket that is not closed',
      'listen: { port: 1\n',
      ['2:1 error listen.port: is not indented as its neighbours are, or a bracket is not closed'],
    ],
  ];
  for (const [what, text, problems] of rows) {
    test(what, () => {
      const { config, problems: found } = gatewayOf(text);

      assert.deepEqual(
        reported(found).filter(line => line.includes(' error ')),
        problems,
      );
      assert.equal(config, undefined);
    });
  }

  test('also in routes.yaml, where the routes would be lost without a word', () => {
    const NONE = 'routes: no routes are written';
    const cases: [string, string[]][] = [
      ['routes: []\n---\nroutes: [{ uri: lb://a }]\n', [`2:1 error ${SECOND}`]],
      ['services: {}\n---\nroutes: [{ uri: lb://a }]\n', [`1:1 error ${NONE}`, `2:1 error ${SECOND}`]],
      ['routes:\n', [`1:1 error ${NONE}`]],
      ['routes: ~\n', [`1:1 error ${NONE}`]],
      ['services: {}\n', [`1:1 error ${NONE}`]],
      ['default-filters: []\n', [`1:1 error ${NONE}`]],
      ['spring: { cloud: { gateway: { default-filters: [] } } }\n', [`1:1 error ${NONE}`]],
      ['spring: { cloud: { gateway: { routes: } } }\n', [`1:31 error spring.cloud.gateway.${NONE}`]],
      ['routs:\n', ['1:1 error routs: unknown key `routs`']],
      ['routes: [{ uri: lb://a, timeuot: }]\n', ['1:25 error routes[0].timeuot: unknown key `timeuot`']],
      [
        'routes: [{ uri: lb://a, cors: { orgins: , origins: ["*"] } }]',
        ['1:33 error routes[0].cors.orgins: unknown key `orgins`'],
      ],
      [
        'services: { a: { queue: { depht: } } }\nroutes: [{ uri: lb://a }]',
        ['1:27 error services.a.queue.depht: unknown key `depht`'],
      ],
      ['defaults: { tiemout: }\nroutes: []', ['1:13 error defaults.tiemout: unknown key `tiemout`']],
      ['routes: &r\n  - *r\n', ['2:5 error routes[0]: the alias stands within what it stands for']],
    ];
    for (const [text, problems] of cases) {
      const { specs, problems: found } = routesOf(text);

      assert.deepEqual(
        reported(found).filter(line => !line.endsWith('must be a map of keys')),
        problems,
        text,
      );
      assert.deepEqual(specs, []);
    }
  });

  test('an anchor that no alias names, with a warning: it may have been meant as text', () => {
    assert.deepEqual(reported(routesOf('routes: &mine []\n').problems), ['1:15 warning no alias names this anchor']);
    assert.deepEqual(reported(routesOf('x-a: &mine []\nroutes: []\n').problems), []);
  });
});

describe('aliases', () => {
  test('stand for what they name, however often', () => {
    const routes = Array.from({ length: 2_000 }, (_, i) => `  - { id: r${i}, uri: lb://a, limits: *limits }`);
    const { specs } = soundRoutes(`x-limits: &limits [{ rate: 7, per: 1s }]\nroutes:\n${routes.join('\n')}`);

    assert.ok(specs.every(({ policy }) => policy.limits[0]?.rate === 7));
  });

  test('do not blow a small file up', () => {
    const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 0; i < 200; i++) {
      const name = i === 0 ? '*a' : `*b${i - 1}`;
      bomb.push(`b${i}: &b${i} [${Array(10).fill(name).join(', ')}]`);
    }

    const [problem] = reported(gatewayOf(bomb.join('\n')).problems).filter(line => line.includes('error'));
    assert.equal(problem, '1:1 error its aliases stand for more than 100000 parts');
  });
});

test('a file that is nested too deeply is refused, not read until the stack ends', () => {
  const deep = `routes: ${'['.repeat(200_000)}`;

  assert.match(reported(routesOf(deep).problems)[0] ?? '', /^\d+:\d+ error (\S+: )?is nested too deeply to be read$/);
});

test('the place of a mistake behind an alias is found without looking through the file for each', t => {
  const { mock } = t.mock.method(Alias.prototype, 'resolve');
  const route = (id: string) => `{ id: ${id}, uri: lb://a, predicates: ['Path=/${id}'], limits: *l }`;

  const { problems } = routesOf(`x-limits: &l [{ rate: x }]\nroutes: [${route('a')}, ${route('b')}]`);

  assert.equal(reported(problems).filter(line => /^1:\d+ error routes\[\d\]\.limits/.test(line)).length, 4);
  assert.equal(mock.callCount(), 0);
});

describe('no word about a file quotes a secret,', () => {
  const texts = [
    'services:\n  a:\n    sharedSecret: |Sup3r\nroutes: []',
    'services:\n  a:\n    sharedSecret: >Sup3r\nroutes: []',
    'services:\n  a:\n    sharedSecret: @Sup3r\nroutes: []',
    'services:\n  a:\n    sharedSecret: *Sup3r\nroutes: []',
    'services:\n  a:\n    sharedSecret: &Sup3r\nroutes: []',
    'services:\n  a:\n    sharedSecret: !Sup3r\nroutes: []',
    'services:\n  a:\n    sharedSecret: !<Sup3r> x\nroutes: []',
    'services:\n  a:\n    sharedSecret: %Sup3r\nroutes: []',
    'services:\n  a:\n    sharedSecret: Sup3r: x\nroutes: []',
    'services:\n  a:\n    sharedSecret: "x\\\n      \\Sup3r"\nroutes: []',
    'services:\n  a:\n    sharedSecret:\n      @Sup3r\nroutes: []',
    "services:\n  a:\n    sharedSecret: 'x' Sup3r\nroutes: []",
    'services: { a: { sharedSecret:Sup3r } }\nroutes: []',
    'services: { a: { sharedSecret: [Sup3r } }\nroutes: []',
    'services: { a: { secrt: Sup3r } }\nroutes: []',
    '%Sup3r\n---\nroutes: []',
  ];
  for (const text of texts) {
    test(JSON.stringify(text), () => {
      const { problems } = routesOf(text);

      assert.notEqual(problems.length, 0);
      const said = [...problems.map(problemLine), renderProblems(problems, new Map([['routes.yaml', text]]))].join(
        '\n',
      );
      assert.ok(!said.includes('Sup3r') || text.startsWith('%'), said);
      assert.ok(!problems.some(problem => problemLine(problem).includes('Sup3r')), said);
    });
  }
});

test('a line is shown as it is where its key is no secret’s, though the advice names one', () => {
  const text = 'discovery:\n  consul:\n    host: consul.exmaple.org\n';
  const { problems } = gatewayOf(text);

  const shown = renderProblems(problems, new Map([['gateway.yaml', text]]));

  assert.match(shown, /host: consul\.exmaple\.org/);
  assert.match(shown, /known: address, token/);
});
