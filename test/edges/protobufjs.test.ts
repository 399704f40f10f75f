import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { GatewayError } from '../../gateway/domain/errors.ts';
import { enveloped, onlyMessageOf } from '../../gateway/domain/grpc/envelope.ts';
import type { RpcService } from '../../gateway/domain/grpc/rpc.ts';
import { textOf } from '../../gateway/domain/unknown-value.ts';
import { readProto } from '../../gateway/edges/protobufjs.ts';
import { seeded } from '../support/service-at-work.ts';

const HEAD = 'syntax = "proto3";\npackage a.v1;\n';
const EVERY = `${HEAD}import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
enum Kind { KIND_NONE = 0; KIND_ONE = 1; }
message Inner { bool yes = 1; }
message Every {
  double wide_number = 1; float small = 2; int64 long = 3; uint32 count = 4; bool yes = 5; string text = 6; bytes raw = 7;
  Kind kind = 8; optional int32 perhaps = 9; repeated double many = 10; map<string, int64> table = 11; Inner inner = 12;
  oneof either { string left = 13; string right = 14; }
  google.protobuf.Timestamp at = 15; google.protobuf.DoubleValue boxed = 16; google.protobuf.Struct free = 17;
  repeated Inner inners = 18; string named = 19 [json_name = "na.med"]; Every itself = 20;
}
service Echo { rpc Say(Every) returns (Every) { option (google.api.http) = { post: "/say" body: "*" }; } }
`;

function read(
  text: string,
  { service, files = {} }: { service?: string; files?: Readonly<Record<string, string>> } = {},
) {
  return readProto({ name: 'a.proto', read: name => ({ 'a.proto': text, ...files })[name] }, service);
}

function sound(text: string): RpcService {
  const service = read(text);
  if ('problem' in service) throw new Error(service.problem);
  return service;
}

describe('a message', () => {
  const every = () => sound(EVERY).methods.get('Say')?.request ?? assert.fail();
  const FULL = {
    ...{
      wideNumber: 0.1,
      small: 0.1,
      long: '9007199254740993',
      count: 4,
      yes: true,
      text: 'ü',
      raw: 'AQI=',
      kind: 'KIND_ONE',
    },
    ...{ perhaps: 0, many: [1, 'NaN', '-Infinity'], table: { a: '1' }, inner: { yes: true }, right: '' },
    ...{
      at: '2026-01-02T03:04:05.006Z',
      boxed: 0,
      free: { a: [1, null, 'x'] },
      inners: [{ yes: false }],
      'na.med': 'n',
    },
  };
  const UNSET = {
    ...{ wideNumber: 0, small: 0, long: '0', count: 0, yes: false, text: '', raw: '', kind: 'KIND_NONE', many: [] },
    ...{ table: {}, inners: [], 'na.med': '' },
  };

  test('is JSON by proto3’s rules and back, with what cannot be absent', () => {
    const type = every();
    const bytes = type.toBytes(FULL);
    assert.ok(Buffer.isBuffer(bytes));

    assert.deepEqual(type.fromBytes(bytes), FULL);
    assert.deepEqual(type.fromBytes(Buffer.alloc(0)), UNSET);
    assert.deepEqual(type.fromJson({ wide_number: '0.5', itself: {} }), { ...UNSET, wideNumber: 0.5, itself: UNSET });
    assert.deepEqual(type.toJson({ many: [1], unknown: 2 }), { many: [1] });
  });

  test('takes R’s answers as they are meant: scalars in lists, NA, one record', () => {
    const type = every();
    const understood = (value: unknown) => type.toJson(value);

    assert.deepEqual(understood({ text: ['x'], wideNumber: [1.5], inner: [{ yes: [true] }], many: 2 }), {
      ...{ text: 'x', wideNumber: 1.5, inner: { yes: true }, many: [2] },
    });
    assert.deepEqual(understood({ many: [1, 'NA', null, 'Inf'], perhaps: 'NA' }), {
      many: [1, 'NaN', 'NaN', 'Infinity'],
    });
  });

  test('says why it is none', () => {
    const type = every();
    assert.match(textOf(type.fromJson({ count: -1 })), /count.*-1/);
    assert.match(textOf(type.fromJson([])), /Every/);
    assert.equal(typeof type.fromBytes(Buffer.from('0901', 'hex')), 'string');
    assert.equal(typeof type.fromBytes(Buffer.from('3201ff', 'hex')), 'string');
    assert.match(textOf(type.toBytes({ text: 3 })), /text/);
    const deep = Buffer.concat(Array.from({ length: 10_000 }, () => Buffer.from('a20105', 'hex')));
    assert.equal(typeof type.fromBytes(deep), 'string');
  });
});

describe('what callers send', () => {
  test('is a message, or refused: a thousand mutations', () => {
    const type = sound(EVERY).methods.get('Say')?.request ?? assert.fail();
    const message = type.toBytes({
      text: 'ü',
      many: [1, 2],
      table: { a: '1' },
      inner: { yes: true },
      free: { a: [1, null] },
    });
    assert.ok(Buffer.isBuffer(message));
    const good = enveloped(message);
    const draw = seeded(7);
    const ends = { read: 0, malformed: 0, refused: 0 };
    for (let i = 0; i < 1_000; i++) {
      const mutated = Buffer.from(good.subarray(0, draw.below(4) === 0 ? draw.below(good.length) : good.length));
      for (let j = 0; j <= draw.below(3) && mutated.length > 0; j++)
        mutated[draw.below(mutated.length)] = draw.below(256);
      try {
        ends[typeof type.fromBytes(onlyMessageOf(mutated).content) === 'string' ? 'malformed' : 'read'] += 1;
      } catch (error) {
        assert.equal((error as GatewayError).code, 'BAD_REQUEST', mutated.toString('hex'));
        ends.refused += 1;
      }
    }

    assert.ok(
      Object.values(ends).every(count => count > 100),
      JSON.stringify(ends),
    );
  });
});

describe('a .proto', () => {
  const method = (rule: string) =>
    `${HEAD}message M { string id = 1; repeated string l = 2; }\nservice S { rpc Do(M) returns (M) { option (google.api.http) = { ${rule} }; } }`;
  const cases: readonly (readonly [string, string, string])[] = [
    ['a slip of the pen', `${HEAD}message M {\n  int32 x 1;\n}`, "a.proto:4:11: illegal token '1', '=' expected"],
    ['a type that is not there', `${HEAD}message M {\n  Foo x = 1;\n}`, 'a.proto:4:3: '],
    [
      'an import that is not there',
      `${HEAD}import "b.proto";`,
      'a.proto:3:9: imports b.proto, which is neither beside it nor in a folder above',
    ],
    ['no service', HEAD, 'a.proto declares no service'],
    ['several services', `${HEAD}service S {}\nservice T {}`, 'a.proto declares a.v1.S, a.v1.T, which of them'],
    ['a body that is no field', method('post: "/a" body: "rows"'), 'a.v1.S.Do: M has no field `rows`'],
    ['a variable that is no field', method('get: "/a/{other}"'), 'a.v1.S.Do: M has no field `other`'],
    ['a variable that is a list', method('get: "/a/{l}"'), 'a.v1.S.Do: the field `l` is no single value'],
    ['an unfit path', method('get: "a"'), 'a.v1.S.Do: the path a must begin with a slash'],
    ['a rule without a method', method('body: "*"'), 'a.v1.S.Do: its `google.api.http` names no method of HTTP'],
  ];
  for (const [name, text, problem] of cases) {
    test(`is refused for ${name}`, () => {
      const said = read(text);
      assert.ok('problem' in said && said.problem.startsWith(problem), JSON.stringify(said));
    });
  }

  test('may have the files of google/api beside it, and options of its own', () => {
    const names = ['annotations', 'http'].map(name => `google/api/${name}.proto`);
    const files = Object.fromEntries(
      names.map(name => [name, readFileSync(`node_modules/protobufjs/${name}`, 'utf8')]),
    );
    const own =
      'import "google/protobuf/descriptor.proto"; extend google.protobuf.FieldOptions { string unit = 50001; }';
    const text = method('post: "/a" body: "*"').replace(
      'message M {',
      `import "google/api/annotations.proto"; ${own} message M {`,
    );

    for (const beside of [files, {}])
      assert.ok('methods' in read(text, { files: beside }), JSON.stringify(read(text, { files: beside })));
  });

  test('finds what it imports, and names the file of a problem', () => {
    const text = `${HEAD}import "b.proto";\nservice S { rpc Do(b.M) returns (b.M) { option (google.api.http) = { custom: { kind: "HEAD" path: "/a" } }; } }`;
    const files = { 'b.proto': 'syntax = "proto3"; package b; message M {}' };

    const service = read(text, { files });
    const broken = read(text, { files: { 'b.proto': 'syntax = "proto3";\npackage b\nmessage M {}' } });

    assert.ok('methods' in service && service.methods.get('Do')?.rules[0]?.method === 'HEAD');
    assert.ok('problem' in broken && broken.problem.startsWith('b.proto:3:'), JSON.stringify(broken));
    assert.ok('problem' in read(text, { files, service: 'a.v1.T' }));
  });
});
