import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { routesOf, soundRoutes, reported } from '../support/configuration.ts';

const HEAD = 'syntax = "proto3";\npackage a.v1;\nmessage M { string id = 1; }\n';
const method = (name: string, rule: string) => `rpc ${name}(M) returns (M) { option (google.api.http) = { ${rule} }; }`;

function judged(route: string, proto: string) {
  return routesOf(`routes:\n  - { id: a, uri: lb://a, ${route}, grpc: { proto: a.proto } }`, {
    files: { 'a.proto': proto },
  });
}

describe('grpc', () => {
  test('names a service whose methods are requests that the route answers', () => {
    const proto = `${HEAD}service S { ${method('Do', 'post: "/predict" body: "*"')} ${method('Get', 'get: "/api/a/cars/{id}"')} }`;
    const text =
      "routes: [{ id: a, uri: lb://a, predicates: ['Path=/api/a/**'], filters: [StripPrefix=2], grpc: { proto: a.proto, service: a.v1.S } }]";

    const [spec] = soundRoutes(text, { files: { 'a.proto': proto } }).specs;

    assert.deepEqual([...(spec?.policy.grpc?.methods.keys() ?? [])], ['Do', 'Get']);
  });

  test('says what is wrong, and where', () => {
    const rule = method('Do', 'post: "/predict" body: "*"');
    const streams = 'rpc Watch(M) returns (stream M);';
    const lines = [
      judged("predicates: ['Path=/other']", `${HEAD}service S { ${rule} }`),
      judged("predicates: ['Method=GET']", `${HEAD}service S { ${rule} }`),
      judged('order: 0', `${HEAD}service S { ${rule} ${streams} rpc Bare(M) returns (M); }`),
      judged('order: 0', `${HEAD}service S { ${streams} }`),
      judged('order: 0', `${HEAD}service S {\n  rpc Do(N) returns (M);\n}`),
      judged('order: 0', `${HEAD}service S {} service T {}`),
      judged('stream: true', `${HEAD}service S { ${rule} }`),
      routesOf('routes: [{ id: a, uri: lb://a, grpc: { proto: none.proto } }]'),
    ].map(({ problems }) => reported(problems).filter(each => !each.includes('can never be reached')));

    assert.deepEqual(lines, [
      [
        '2:71 error routes[0].grpc.proto: the predicates and filters of the route lead no call to POST /predict, which a.v1.S.Do is in REST',
      ],
      [
        '2:70 error routes[0].grpc.proto: the predicates and filters of the route lead no call to POST /predict, which a.v1.S.Do is in REST',
      ],
      [
        '2:52 warning routes[0].grpc.proto: a.v1.S.Watch is not served: it streams, and R answers once',
        '2:52 warning routes[0].grpc.proto: a.v1.S.Bare is not served: it has no `google.api.http`',
      ],
      ['2:52 error routes[0].grpc.proto: no method of a.v1.S says by `google.api.http` what it is in REST'],
      ['2:52 error routes[0].grpc.proto: a.proto:5:10: no such type: N'],
      [
        '2:43 error routes[0].grpc.service: a.proto declares a.v1.S, a.v1.T, which of them is served must be said by `service`',
      ],
      ['2:41 warning routes[0].grpc: has no effect: the route is a stream'],
      ['1:47 error routes[0].grpc.proto: none.proto:1:1: cannot be read'],
    ]);
  });
});
