import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { createStarts, outlineOf } from '../../gateway/setup/gateway-process.mjs';
import { aFolder } from '../support/folder.ts';

function configFile(t: TestContext, text: string): string {
  const folder = aFolder(t);
  const file = join(folder, 'gateway.yaml');
  writeFileSync(file, text);
  return file;
}

describe('the outline of a configuration', () => {
  test('has the defaults of what is not written', async t => {
    const { gateway, admin, services } = await outlineOf(configFile(t, 'log: { level: warn }\n'));

    assert.deepEqual(gateway, { host: '0.0.0.0', port: 8080 });
    assert.deepEqual(admin, { host: '127.0.0.1', port: 9090 });
    assert.deepEqual(services, []);
  });

  test('knows a port that comes from the environment', async t => {
    const { gateway } = await outlineOf(configFile(t, "listen: { port: '${env:PENSTOCK_TEST_NO_SUCH:-8181}' }\n"));

    assert.equal(gateway.port, 8181);
  });

  for (const [what, text] of [
    ['YAML', 'listen: {\n'],
    ['list', 'discovery: { local: fuel }\n'],
  ] as const) {
    test(`of a broken ${what} is what check says, with the place`, async t => {
      await assert.rejects(outlineOf(configFile(t, text)), /gateway\.yaml:\d+:\d+: error: /);
    });
  }
});

describe('while R starts', () => {
  const notice = (text: string, about: object = {}) =>
    JSON.stringify({ level: 'warn', event: 'notice', text, about: { service: 'fuel', ...about } });
  const end = notice('R ended: exit status 1, before it answered', { againInMs: 400 });

  test('its own words are shown when it ends, and not those of an R that answers', () => {
    const starts = createStarts();
    const received = [
      notice('Loading required package: x', { service: 'iris' }),
      notice('Error in library(y) : there is no package called ‘y’', { rEvent: 'r-output' }),
      notice('R answers', { service: 'iris' }),
      end,
      'no line of the log',
    ].map(line => starts.add(line));

    assert.deepEqual(
      received.filter(text => text !== undefined),
      [
        'R of fuel ended before it answered (exit status 1). It said:\n' +
          '    Error in library(y) : there is no package called ‘y’',
      ],
    );
  });

  test('it is given up when it has ended three times, but not once it has answered', () => {
    const starts = createStarts();

    const given = [end, end, end].map(line => (starts.add(line), starts.hopeless()));
    starts.add(notice('R answers'));
    starts.add(end);

    assert.deepEqual(given, [undefined, undefined, 'fuel']);
    assert.equal(starts.hopeless(), undefined);
  });
});
