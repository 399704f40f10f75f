import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { redactedGateway } from '../../gateway/config/gateway-config.ts';
import { gatewayOf, reported } from '../support/configuration.ts';

const SECRET = 'a secret of thirty-two bytes or more';
const around = { variables: { S: SECRET, B: Buffer.from(SECRET).toString('base64') } };
const issuer = (keys: string) => gatewayOf(`identity: { jwt: [{ issuer: 'https://a', ${keys} }] }`, around);
const said = (keys: string) => reported(issuer(keys).problems).map(line => line.replace(/^\S+ /, ''));

describe('an issuer of tokens', () => {
  test('has its claims where it says, in either way of writing a path', () => {
    const { config, problems } = issuer(
      `audience: p, algorithms: [RS256], discovery: true, claims: { roles: ['cognito:groups'], scopes: "['a.b'].c" }`,
    );

    assert.deepEqual(reported(problems), []);
    assert.deepEqual(config?.identity?.jwt[0]?.claims, { roles: ['cognito:groups'], scopes: ['a.b', 'c'] });
  });

  const wrong: [what: string, keys: string, problems: string[]][] = [
    ['no audience', 'algorithms: [RS256], discovery: true', ['error identity.jwt[0].audience: is missing']],
    [
      'any audience, with a warning',
      'audience: any, algorithms: [RS256], discovery: true',
      ['warning identity.jwt[0].audience: takes every token of this issuer, also those that were meant for others'],
    ],
    ['any audience where a client is demanded', 'audience: any, clientId: a, algorithms: [RS256], discovery: true', []],
    ['a client in place of an audience', 'clientId: a, algorithms: [RS256], discovery: true', []],
    [
      'a path that is none',
      'audience: p, algorithms: [RS256], discovery: true, claims: { roles: cognito:groups }',
      ['error identity.jwt[0].claims.roles: is no path of claims'],
    ],
    [
      'two sources of keys',
      "audience: p, algorithms: [RS256], discovery: true, jwks: 'https://a/k'",
      ['error identity.jwt[0].discovery: is one source of keys too many: there is `jwks` already'],
    ],
    [
      'a source that is not of its kind',
      `audience: p, algorithms: [HS256], secret: '\${env:S}', jwks: 'https://a/k'`,
      ['error identity.jwt[0].jwks: is of no use with HS256'],
    ],
    [
      'keys from no URL',
      'audience: p, algorithms: [RS256], jwks: a/k',
      ['error identity.jwt[0].jwks: must be a URL of https:// or http://'],
    ],
    [
      'keys over plain HTTP, with a warning',
      "audience: p, algorithms: [RS256], jwks: 'http://b.example.org/k'",
      ['warning identity.jwt[0].jwks: fetches keys over plain HTTP: an attacker on the way can exchange them'],
    ],
    ['keys of this machine', "audience: p, algorithms: [RS256], jwks: 'http://127.0.0.1:1/k'", []],
    ['a secret in base64', `audience: p, algorithms: [HS256], secret: { base64: '\${env:B}' }`, []],
    [
      'what is no base64',
      `audience: p, algorithms: [HS256], secret: { base64: '\${env:S}' }`,
      ['error identity.jwt[0].secret: is not base64'],
    ],
    [
      'too short a secret, in bytes that count',
      `audience: p, algorithms: [HS384], secret: { base64: '\${env:B}' }`,
      ['error identity.jwt[0].secret: is too short: HS384 asks for at least 48 bytes'],
    ],
    [
      'a literal secret in base64, with a warning',
      `audience: p, algorithms: [HS256], secret: { base64: '${around.variables.B}' }`,
      ['warning identity.jwt[0].secret.base64: a secret stands in the file'],
    ],
  ];
  for (const [what, keys, problems] of wrong) {
    test(
      `may have ${what}`.replace(
        /^may have (?!any audience|a client|keys of|a secret|a literal)/,
        'is refused or warned of with ',
      ),
      () => {
        assert.deepEqual(said(keys), problems);
      },
    );
  }

  test('is none that callers without an issuer are called by', () => {
    const text = `identity: { jwt: [{ issuer: api-key, audience: p, algorithms: [HS256], secret: '\${env:S}' }] }`;

    assert.match(
      reported(gatewayOf(text, around).problems).join(),
      /jwt\[0\]\.issuer: is what callers without an issuer/,
    );
  });

  test('never shows a secret, in whichever form', () => {
    const { config } = issuer(`audience: p, algorithms: [HS256], secret: { base64: '\${env:B}' }`);
    const shown = JSON.stringify(redactedGateway(config ?? assert.fail()));

    assert.match(shown, /"secret":"\[redacted\]"/);
    assert.ok(!shown.includes(around.variables.B) && !shown.includes(SECRET));
  });
});

describe('an identity', () => {
  test('that names no scheme is an error', () => {
    assert.deepEqual(reported(gatewayOf('identity: {}').problems), [
      '1:11 error identity: names no scheme: nothing could be judged by it',
    ]);
  });
});
